import { rmSync } from 'node:fs';
import { readFile, rename, rm, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { TrainingError } from '../../errors.ts';
import { codeOf } from './cache-fault.ts';
import { isAlive } from './cache-lock.ts';

const claimFile = '.claim';
const claimed = new Set<string>();

/**
 * Marks a run's folder as this process's until it ends: two that write one run would destroy it. A process may claim a
 * folder again, and take over that of one that is gone.
 * @throws TrainingError when another process on this machine has it
 */
export async function claimRunFolder(folder: string): Promise<void> {
  const path = join(folder, claimFile);
  if (claimed.has(path)) return;
  const own = `${process.pid} ${hostname()}`;
  for (;;) {
    try {
      await writeFile(path, own, { flag: 'wx' });
      break;
    } catch (error) {
      if (codeOf(error) !== 'EEXIST') throw error;
    }
    const holder = await readFile(path, 'utf8').catch(() => '');
    const [pid = '', host] = holder.split(' ');
    if (holder === own) break;
    if (host === hostname() && isAlive(Number(pid)))
      throw new TrainingError(
        `"${folder}": process ${pid} trains in this folder. Wait until it has ended, stop it with Ctrl-C, or give another --out. If it does something else, remove ${path}.`,
        { path: folder, pid: Number(pid) },
      );
    // Moved aside first: of two that find it abandoned only one then removes it.
    const aside = `${path}.${process.pid}`;
    await rename(path, aside).catch((error: unknown) => {
      if (codeOf(error) !== 'ENOENT') throw error;
    });
    await rm(aside, { force: true });
  }
  if (claimed.size === 0) process.once('exit', giveUpAll);
  claimed.add(path);
}

function giveUpAll(): void {
  for (const path of claimed) rmSync(path, { force: true });
}
