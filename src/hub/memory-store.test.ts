import { testStore } from '../../test/support/store-contract.ts';
import { createMemoryStore } from './memory-store.ts';

testStore('memory store', async () => createMemoryStore());
