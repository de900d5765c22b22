/** What a procedural picture is asked for with, and what is known of one. */
import type { Image } from '../../image/image.ts';
import type { ShapeKind } from './shapes.ts';

/** A rectangle of pixels: x, y of its left top pixel, and how many pixels it spans. */
export interface PixelBox {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

export interface SceneObject {
  /** Index into the set's class names. */
  readonly label: number;
  /** The tightest around the pixels that can be seen. */
  readonly box: PixelBox;
  /** Pixels that can be seen. */
  readonly area: number;
}

/** One picture with everything that is known about it, for every task. */
export interface Scene {
  readonly image: Image;
  /** Of the object with most pixels. */
  readonly label: number;
  /** Back to front. */
  readonly objects: readonly SceneObject[];
  /** height·width, row by row: 0 ground, label + 1 elsewhere. Pixels under an occluder are ground. */
  readonly classMask: Uint8Array;
  /** The same with the object's index + 1. */
  readonly instanceMask: Uint8Array;
}

export interface SceneOptions {
  readonly width: number;
  readonly height: number;
  readonly seed: number;
  /** What may be on the picture; labels are indices into it. Default all of `shapeKinds`. */
  readonly kinds?: readonly ShapeKind[];
  /** Least and most objects, at most 254; default one. Those that find no free place are left out. */
  readonly objects?: readonly [least: number, most: number];
  /** Label of the first object; default random. */
  readonly label?: number;
  /** Least and greatest radius, as shares of the shorter side; default by the number of objects. */
  readonly radius?: readonly [least: number, most: number];
  /** How far shapes are turned at most, either way, in radians; default π, all the way. */
  readonly rotation?: number;
  /** How much patterns show, 0–1; default 1. */
  readonly texture?: number;
  /** At most so many bars across the picture; default 2. */
  readonly occluders?: number;
  /** Standard deviation of the noise, white being 1; default 0.03. */
  readonly noise?: number;
}
