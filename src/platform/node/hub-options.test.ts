import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { nodeHubOptions } from './hub-options.ts';

test('the environment decides folder, mirror and offline mode', () => {
  const options = nodeHubOptions({
    MOBILEONE_CACHE: '/c',
    MOBILEONE_MIRROR: 'http://127.0.0.1/m',
    MOBILEONE_OFFLINE: '1',
  });
  assert.equal(options.store.locate('a.pth'), join('/c', 'a.pth'));
  assert.deepEqual([options.mirror, options.offline], ['http://127.0.0.1/m', true]);
  const plain = nodeHubOptions({ MOBILEONE_OFFLINE: '0', MOBILEONE_MIRROR: '' });
  assert.deepEqual([plain.mirror, plain.offline], [undefined, false]);
});
