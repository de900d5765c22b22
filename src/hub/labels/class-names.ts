import { imagenet1kText } from './imagenet1k.ts';

export interface ImagenetClass {
  readonly index: number;
  /** WordNet 3.0 noun id, also the folder name in the ImageNet archive. */
  readonly synset: string;
  /** Short and unique, for people. */
  readonly shortName: string;
  /** All WordNet synonyms joined by ", ", as mmpretrain names classes; 134 and 517 are both "crane". */
  readonly fullName: string;
}

let parsed: readonly ImagenetClass[] | undefined;

/** The 1000 classes of ImageNet-1k in training order. */
export function imagenetClasses(): readonly ImagenetClass[] {
  parsed ??= imagenet1kText.split('\n').map((line, index) => {
    const [fullName = '', short] = line.slice(10).split('|');
    return {
      index,
      synset: line.slice(0, 9),
      fullName,
      shortName: short ?? fullName.split(', ', 1)[0] ?? '',
    };
  });
  return parsed;
}
