/** The `limit` items of greatest weight that were offered, such as the most confident mistakes. */
export interface Keeper<T> {
  /** Whether an item of this weight would be kept; ask before making a costly one. */
  readonly wants: (weight: number) => boolean;
  readonly offer: (weight: number, item: T) => void;
  /** Greatest weight first; of equal weights, the first offered. */
  readonly items: () => readonly T[];
}

export function keepMost<T>(limit: number): Keeper<T> {
  const kept: { readonly weight: number; readonly item: T }[] = [];
  const wants = (weight: number): boolean =>
    limit > 0 && (kept.length < limit || weight > (kept.at(-1)?.weight ?? Number.NEGATIVE_INFINITY));
  return {
    wants,
    offer: (weight, item) => {
      if (!wants(weight)) return;
      if (kept.length === limit) kept.pop();
      const after = kept.findIndex((other) => other.weight < weight);
      kept.splice(after < 0 ? kept.length : after, 0, { weight, item });
    },
    items: () => kept.map(({ item }) => item),
  };
}
