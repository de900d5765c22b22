import type { CommonRecipe } from './recipe.ts';

/** The layer a parameter belongs to: `stages.0.1.conv.2.bn.gamma` → `stages.0.1`, `head.weight` → `head`. */
export function layerOf(parameter: string): string {
  return /^[^.]+(?:\.\d+)*/.exec(parameter)?.[0] ?? parameter;
}

/** Layers in the order in which their first parameters come. */
export function layersOf(parameters: Iterable<string>): readonly string[] {
  return [...new Set([...parameters].map(layerOf))];
}

/** Whether a layer does not learn at a freeze level. */
export function isFrozen(freeze: CommonRecipe['freeze'], layer: string): boolean {
  if (freeze === 'none') return false;
  if (freeze === 'backbone') return /^(stem$|stages\.)/.test(layer);
  if (layer === 'stem') return true;
  const [, stage] = /^stages\.(\d+)/.exec(layer) ?? [];
  const frozenStages = freeze === 'stem' ? 0 : Number(freeze.slice('stage'.length));
  return stage !== undefined && Number(stage) < frozenStages;
}
