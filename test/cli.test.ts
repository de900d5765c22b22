import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  type CliFolder,
  cliPath,
  collect,
  createCliFolder,
  pictureFile,
  smallNetFile,
} from './support/cli.ts';
import { serve, startUnrulyServer, type UnrulyServer } from './support/unruly-server.ts';

describe('mobileone', { concurrency: 2 }, () => {
  let folder: CliFolder;
  let server: UnrulyServer;
  const net = smallNetFile();
  before(async () => {
    folder = await createCliFolder();
    await writeFile(join(folder.path, 'a.png'), pictureFile(1));
    server = await startUnrulyServer({
      '/whole/mobileone_s0.apple_in1k.safetensors': serve(net, { etag: '"1"' }),
      // Half of it at first, and silence; the rest when asked for again.
      '/slow/mobileone_s1.apple_in1k.safetensors': (request, response, times) => {
        if (times > 0) return serve(net, { etag: '"1"' })(request, response, times);
        response.writeHead(200, { 'content-length': net.length, etag: '"1"' });
        response.write(net.subarray(0, 1000));
      },
    });
  });
  after(async () => {
    await server.close();
    await folder.remove();
  });
  const online = (path: string) => ({ MOBILEONE_OFFLINE: '', MOBILEONE_MIRROR: server.address + path });

  test('--version and --help', async () => {
    const version: { version: string } = JSON.parse(
      await readFile(new URL('../../package.json', import.meta.url), 'utf8'),
    );
    assert.deepEqual(await folder.run(['--version']), {
      code: 0,
      stdout: `${version.version}\n`,
      stderr: '',
    });
    const { code, stdout } = await folder.run(['--help']);
    assert.equal(code, 0);
    const commands = ['predict', 'models', 'info', 'inspect', 'reparameterize', 'export', 'bench', 'doctor'];
    for (const command of commands) assert.match(stdout, new RegExp(`^ {2}${command} `, 'm'));
    const helps = await Promise.all(commands.map((command) => folder.run([command, '--help'])));
    for (const help of helps) {
      assert.equal(help.code, 0);
      assert.match(help.stdout, /Example:\n {2}mobileone /);
    }
  });

  test('wrong use ends with 2 and says what is wrong', async () => {
    const wrong = [
      [[], /Usage: mobileone/],
      [['predit', 'a.png'], /unknown command 'predit'\n\(Did you mean predict\?\)/],
      [['predict'], /missing required argument 'pictures'/],
      [['predict', 'a.png', '--top', '0'], /'-n, --top <n>' argument '0' is invalid. A whole number from 1/],
      [['predict', 'a.png', '--transform', 'mine'], /Allowed choices are apple, mmpretrain/],
      [['predict', 'a.png', '--model', 's0', '--weights', 'x.pth'], /--model or --weights, not both/],
      [['info', 's0', '--output-stride', '4'], /8, 16 or 32 is expected/],
      [['info', 's0', '--input', '0x9'], /A size such as 224/],
    ] as const;
    const results = await Promise.all(wrong.map(([args]) => folder.run(args)));
    for (const [i, { code, stdout, stderr }] of results.entries()) {
      assert.deepEqual([code, stdout], [2, ''], wrong[i]?.[0].join(' '));
      assert.match(stderr, wrong[i]?.[1] ?? /$^/);
    }
  });

  test('what cannot be had ends with 1 and says what to do; --debug shows where', async () => {
    const offline = await folder.run(['predict', 'a.png', '--model', 's2', '--offline']);
    assert.equal(offline.code, 1);
    assert.match(offline.stderr, /offline mode is on/);
    assert.ok(offline.stderr.includes(`put it at ${folder.cache}`));
    const unknown = await folder.run(['info', 'mobileone-s9']);
    assert.equal(unknown.code, 1);
    assert.match(unknown.stderr, /Did you mean mobileone-s\d/);
    const missing = await folder.run(['inspect', 'gone.pth', '--debug']);
    assert.equal(missing.code, 1);
    assert.match(missing.stderr, /there is no file "gone\.pth"[\s\S]*\n +at /);
    assert.doesNotMatch(offline.stderr + unknown.stderr, /\n +at /);
  });

  test('models: all, some, none', async () => {
    const all = await folder.run(['models', '--json']);
    const list: readonly { name: string; cached: boolean; licence: { title: string } }[] = JSON.parse(
      all.stdout,
    );
    assert.equal(list.length, 26);
    assert.ok(list.every(({ licence }) => licence.title !== ''));
    const some = await folder.run(['models', '*s3*'], { COLUMNS: '40' });
    assert.match(some.stdout, /s3, mobileone-s3/);
    assert.match(some.stdout, /licence/);
    assert.doesNotMatch(some.stdout, /s4/);
    assert.equal((await folder.run(['models', 'resnet'])).code, 1);
  });

  test('doctor', async () => {
    const text = await folder.run(['doctor'], { COLUMNS: '80' });
    assert.equal(text.code, 0);
    assert.ok(text.stdout.split('\n').length <= 25, 'one screen');
    const { stdout } = await folder.run(['doctor', '--json']);
    const { node, engine, packages, cache, offline } = JSON.parse(stdout);
    assert.deepEqual([node, cache.folder, offline], [process.version, folder.cache, true]);
    assert.deepEqual([engine.webAssembly.simd, engine.webAssembly.threads], [true, true]);
    assert.deepEqual(
      packages.map(({ name }: { name: string }) => name),
      ['sharp', 'koffi', 'onnxruntime-node'],
    );
  });

  test('a download tells the terms, is checked, and is there the next time', async () => {
    const args = ['predict', 'a.png', '--model', 'mobileone_s0.apple_in1k', '--json'];
    const first = await folder.run(args, online('/whole'));
    assert.equal(first.code, 0, first.stderr);
    assert.match(first.stderr, /^Fetching mobileone_s0\.apple_in1k: mobileone-license/);
    const second = await folder.run(args);
    assert.deepEqual(second, { code: 0, stdout: first.stdout, stderr: '' });
    const listed = await folder.run(['models', 'mobileone_s0.apple_in1k', '--json']);
    assert.equal(JSON.parse(listed.stdout)[0].cached, true);
  });

  test('Ctrl-C during a download: 130, nothing half in the cache, continued the next time', async () => {
    const args = ['predict', 'a.png', '--model', 'mobileone_s1.apple_in1k', '--json'];
    const child = spawn(process.execPath, [cliPath, ...args], {
      cwd: folder.path,
      env: { ...folder.env, ...online('/slow') },
    });
    const ended = collect(child);
    const file = join(folder.cache, 'mobileone_s1.apple_in1k.safetensors');
    const arrived = () =>
      stat(`${file}.part`).then(
        (found) => found.size > 0,
        () => false,
      );
    while (child.exitCode === null && !(await arrived())) await sleep(10);
    child.kill('SIGINT');
    const { code, stdout, stderr } = await ended;
    assert.deepEqual([code, stdout], [130, '']);
    assert.match(stderr, /interrupted/);
    const names = (await readdir(folder.cache)).filter((name) => name.includes('s1'));
    assert.deepEqual(
      names.sort(),
      [`${file}.part`, `${file}.part.json`].map((path) => path.slice(folder.cache.length + 1)),
    );
    const again = await folder.run(args, online('/slow'));
    assert.equal(again.code, 0, again.stderr);
    const asked = server.seen.filter(({ path }) => path.startsWith('/slow'));
    assert.deepEqual(
      asked.map(({ range }) => range),
      [undefined, 'bytes=1000-'],
    );
  });

  test('a reader that has seen enough is no error', async () => {
    const child = spawn(process.execPath, [cliPath, 'info', 's4', '--nodes', '--form', 'train', '--json'], {
      cwd: folder.path,
      env: folder.env,
    });
    child.stdout.once('data', () => child.stdout.destroy());
    const { stderr } = await collect(child);
    assert.equal(stderr, '');
  });
});
