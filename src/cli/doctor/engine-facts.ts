import { nodePlatform } from '../../node.ts';

/** What an engine has to say about this machine; facts of a new engine are added here. */
export interface EngineFacts {
  /** The one that runs when nothing else is asked for. */
  readonly used: string;
  /** Why, or what keeps a faster one from being used. */
  readonly notes: readonly string[];
}

export async function engineFacts(): Promise<EngineFacts> {
  const engine = await nodePlatform().engine();
  return { used: engine.name, notes: [] };
}
