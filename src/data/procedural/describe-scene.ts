import type { Canvas } from './paint.ts';
import type { Scene, SceneObject } from './scene.ts';

/** Boxes and masks of what can be seen; objects without a pixel are gone. */
export function describeScene(canvas: Canvas, labels: readonly number[]): Omit<Scene, 'image'> {
  const { width, instances } = canvas;
  const bounds = labels.map((label) => ({
    label,
    left: width,
    top: canvas.height,
    right: -1,
    bottom: -1,
    area: 0,
  }));
  for (let y = 0, place = 0; y < canvas.height; y++) {
    for (let x = 0; x < width; x++, place++) {
      const one = bounds[(instances[place] ?? 0) - 1];
      if (!one) continue;
      one.left = Math.min(one.left, x);
      one.right = Math.max(one.right, x);
      one.top = Math.min(one.top, y);
      one.bottom = y;
      one.area++;
    }
  }
  const objects: SceneObject[] = [];
  const numbers = bounds.map(({ label, left, top, right, bottom, area }) =>
    area === 0
      ? 0
      : objects.push({
          label,
          area,
          box: { x: left, y: top, width: right - left + 1, height: bottom - top + 1 },
        }),
  );
  const instanceMask = instances.map((one) => numbers[one - 1] ?? 0);
  const classMask = instanceMask.map((one) => (one === 0 ? 0 : (objects[one - 1]?.label ?? 0) + 1));
  const [first] = [...objects].sort((a, b) => b.area - a.area);
  return { label: first?.label ?? labels[0] ?? 0, objects, classMask, instanceMask };
}
