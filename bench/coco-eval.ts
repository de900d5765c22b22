/** COCO's evaluation at COCO's size: 5,000 pictures × 80 categories, 100 random detections a picture. */
import { cocoEval } from '../src/metrics/detection/coco-eval.ts';
import type { Detection, DetectionTruth } from '../src/metrics/detection/ground-truth.ts';
import { createRandom } from '../src/tensor/random.ts';

const [images, categories, guessesEach, objectsEach] = [5000, 80, 100, 7];
const random = createRandom(1);
const box = () => {
  const [width, height] = [4 + random.uniform() * 300, 4 + random.uniform() * 300] as const;
  return [random.uniform() * (640 - width), random.uniform() * (480 - height), width, height] as const;
};
const truths: DetectionTruth[] = [];
const detections: Detection[] = [];
for (let image = 0; image < images; image++) {
  for (let i = 0; i < objectsEach; i++) {
    const own = box();
    const category = random.integer(categories);
    truths.push({ image, category, box: own, area: own[2] * own[3], crowd: random.uniform() < 0.01 });
    const jitter = (side: number): number => side * (1 + 0.1 * random.normal());
    const near = [jitter(own[0]), jitter(own[1]), jitter(own[2]), jitter(own[3])] as const;
    detections.push({ image, category, box: near, score: random.uniform() });
  }
  for (let i = objectsEach; i < guessesEach; i++)
    detections.push({ image, category: random.integer(categories), box: box(), score: random.uniform() });
}
const start = performance.now();
const { stats } = cocoEval(truths, detections);
const seconds = (performance.now() - start) / 1000;
const mebibytes = process.resourceUsage().maxRSS / 1024;
console.log(
  `${images} pictures, ${detections.length} detections, ${truths.length} objects: ${seconds.toFixed(1)} s, peak ${mebibytes.toFixed(0)} MB resident, AP ${stats.AP.toFixed(4)}`,
);
