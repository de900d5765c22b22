/**
 * What reaches an input through the moments of patches, along one axis. It lies in patches at some taps i, depending
 * on stride and border: that is its class. Through each of them all inputs of the same patch reach it, at distances
 * k − i of taps. So a position of a class reads its neighbourhood with weights of the class.
 */
import { gradientReaches, type Reach, type ReachAxis } from '../plan/reach.ts';
import type { WindowAxis } from '../plan/window-blocks.ts';

export interface PatchClasses {
  /** Taps of each class. */
  readonly classes: readonly (readonly number[])[];
  /** Distances −(kernel − 1) … kernel − 1. */
  readonly distances: number;
  /** Taps are class·distances + distance + kernel − 1. */
  readonly axis: ReachAxis;
}

export function patchClasses(window: WindowAxis): PatchClasses {
  const { kernel, dilation, size } = window;
  const own = gradientReaches(window);
  const distances = 2 * kernel - 1;
  const keys = new Map<string, number>();
  const classes: (readonly number[])[] = [];
  const classAt = Array.from({ length: size }, (_, position) => {
    const taps = own.reaches(position).map(({ tap }) => tap);
    const found = keys.get(taps.join());
    if (found !== undefined) return found;
    keys.set(taps.join(), classes.length);
    return classes.push(taps) - 1;
  });
  const reaches = (position: number): readonly Reach[] => {
    const index = classAt[position] ?? 0;
    const taps = classes[index] ?? [];
    return Array.from({ length: distances }, (_, i) => ({
      tap: index * distances + i,
      source: position + (i - kernel + 1) * dilation,
    })).filter(({ tap, source }) => {
      const distance = (tap % distances) - kernel + 1;
      const pairs = taps.some((own) => own + distance >= 0 && own + distance < kernel);
      return pairs && source >= 0 && source < size;
    });
  };
  return { classes, distances, axis: { positions: size, period: window.stride, reaches } };
}
