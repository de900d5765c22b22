/** What can be wrong with annotations, whether it is a fault or only worth knowing, and what becomes of it. */
export const findingKinds = {
  'box-clipped': { fault: true, text: 'boxes reach outside their picture; clipped' },
  'box-outside': { fault: true, text: 'boxes lie outside their picture; left out' },
  'zero-area': { fault: true, text: 'boxes have no area; left out' },
  'unknown-category': { fault: true, text: 'objects are of an unknown category; left out' },
  'unknown-values': { fault: true, text: 'masks hold numbers that are no class; those pixels are ignored' },
  'mask-size': { fault: true, text: 'masks are not of their picture’s size; left out' },
  'no-mask': { fault: true, text: 'objects have a box only; the pixels in it are ignored' },
  'picture-size': { fault: true, text: 'pictures are not of the annotated size' },
  missing: { fault: true, text: 'files are missing; left out' },
  unreadable: { fault: true, text: 'files cannot be read; left out' },
  malformed: { fault: true, text: 'entries are not as their format asks; left out' },
  empty: { fault: false, text: 'pictures have no object; kept' },
  crowd: { fault: false, text: 'objects are crowds; ignored in training' },
} as const satisfies Readonly<Record<string, { readonly fault: boolean; readonly text: string }>>;

export type FindingKind = keyof typeof findingKinds;

export interface Finding {
  readonly kind: FindingKind;
  /** File and line, or file and id. */
  readonly where: string;
  readonly detail: string;
}

/** How many there are of each kind that occurs, in the table's order. */
export function countFindings(findings: readonly Finding[]): Partial<Record<FindingKind, number>> {
  const counts: Partial<Record<FindingKind, number>> = {};
  for (const { kind } of findings) counts[kind] = (counts[kind] ?? 0) + 1;
  return counts;
}
