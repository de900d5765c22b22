import type { LoadedCode } from '../../assembler/machine.ts';
import { type Crew, createCrew, type StartHelper } from './crew.ts';
import type { HelperMessage } from './helper.ts';
import { MAX_HELPERS } from './mailbox.ts';
import type { ThreadPlacement } from './thread-placement.ts';
import type { ServedCode, ThreadPool } from './thread-pool.ts';

export interface PoolPlatform {
  readonly cores: number;
  readonly mayWait: boolean;
  readonly start: StartHelper;
  /** Calls back a little later, without keeping the process alive. */
  readonly later: (callback: () => void) => void;
  /** Where threads can be placed: helpers of native code then never run where the calling thread does. */
  readonly placement?: ThreadPlacement | undefined;
}

/**
 * A helper that sleeps collects no garbage, so WebAssembly memories of disposed sessions would stay with it.
 * After this many bytes of them the helpers are replaced by fresh ones.
 */
const MOST_RETAINED_BYTES = 128 * 2 ** 20;

interface Registered {
  readonly id: number;
  readonly code: LoadedCode;
  readonly control: number;
  readonly setStop: (stop: 0 | 1) => void;
  readonly helpers: number;
}

interface Leaving {
  readonly id: number;
  readonly whenLeft: () => void;
}

/** One pool serves all sessions of a thread of JavaScript: helpers follow whichever session runs. */
export function createThreadPool(platform: PoolPlatform): ThreadPool {
  const pool = new Pool(platform);
  return {
    cores: platform.cores,
    mayWait: platform.mayWait,
    register: (code, control, setStop, helpers) => pool.register(code, control, setStop, helpers),
    dispose: () => pool.dispose(),
  };
}

class Pool {
  readonly #platform: PoolPlatform;
  readonly #registered = new Map<number, Registered>();
  #leaving: readonly Leaving[] = [];
  #crew: Crew;
  /** Crews that were closed and have not ended yet. */
  #oldCrews: readonly Crew[] = [];
  #lastId = 0;
  #retainedBytes = 0;
  #closed = false;

  constructor(platform: PoolPlatform) {
    this.#platform = platform;
    this.#crew = createCrew(platform.start);
  }

  register(code: LoadedCode, control: number, setStop: (stop: 0 | 1) => void, helpers: number): ServedCode {
    if (this.#retainedBytes > MOST_RETAINED_BYTES) this.#replaceCrew();
    const id = ++this.#lastId;
    const entry: Registered = { id, code, control, setStop, helpers: Math.min(helpers, MAX_HELPERS) };
    this.#growFor(entry);
    this.#registered.set(id, entry);
    for (let helper = 0; helper < entry.helpers; helper++) this.#crew.post(helper, attachMessage(entry));
    return {
      summon: () => this.#summon(entry),
      release: (whenLeft) => this.#release(entry, whenLeft),
    };
  }

  dispose(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#dismiss();
    this.#crew.close();
  }

  /** New helpers learn of the sessions they may help. */
  #growFor({ helpers }: Registered): void {
    if (this.#closed) return;
    for (const helper of this.#crew.grow(helpers))
      for (const entry of this.#registered.values())
        if (helper < entry.helpers) this.#crew.post(helper, attachMessage(entry));
  }

  #replaceCrew(): void {
    if (this.#closed) return;
    this.#dismiss();
    this.#crew.close();
    this.#oldCrews = [...this.#oldCrews.filter((crew) => !crew.ended()), this.#crew];
    this.#crew = createCrew(this.#platform.start);
    this.#retainedBytes = 0;
    for (const entry of this.#registered.values()) this.#growFor(entry);
  }

  /** Makes helpers leave the code that is current. */
  #dismiss(): void {
    const current = this.#registered.get(this.#crew.current());
    this.#crew.setCurrent(0);
    current?.setStop(1);
    current?.code.wake(current.control);
  }

  #summon(entry: Registered): void {
    if (this.#crew.current() !== entry.id) {
      this.#dismiss();
      entry.setStop(0);
      this.#crew.setCurrent(entry.id);
    }
    const { placement } = this.#platform;
    if (placement !== undefined) this.#crew.keepApart(entry.helpers, placement);
    for (let helper = 0; helper < entry.helpers; helper++) this.#crew.ring(helper);
  }

  #release(entry: Registered, whenLeft: () => void): void {
    if (!this.#registered.has(entry.id)) return;
    if (this.#crew.current() === entry.id) this.#crew.setCurrent(0);
    entry.setStop(1);
    entry.code.wake(entry.control);
    this.#registered.delete(entry.id);
    for (let helper = 0; helper < entry.helpers; helper++)
      this.#crew.post(helper, { kind: 'detach', id: entry.id });
    const { shared } = entry.code;
    if (shared.kind === 'wasm') this.#retainedBytes += shared.memory.buffer.byteLength;
    this.#leaving = [...this.#leaving, { id: entry.id, whenLeft }];
    this.#settle();
  }

  #settle(): void {
    const crews = [...this.#oldCrews, this.#crew];
    const gone = this.#leaving.filter(({ id }) => crews.every((crew) => crew.hasLeft(id)));
    this.#leaving = this.#leaving.filter((entry) => !gone.includes(entry));
    for (const { whenLeft } of gone) whenLeft();
    if (this.#leaving.length > 0) this.#platform.later(() => this.#settle());
  }
}

function attachMessage({ id, code, control }: Registered): HelperMessage {
  return { kind: 'attach', id, code: code.shared, control };
}
