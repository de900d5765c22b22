// Removes compiled output, so that a deleted source file cannot leave a stale module or test behind.
import { rmSync } from 'node:fs';

rmSync(new URL('../dist', import.meta.url), { recursive: true, force: true });
