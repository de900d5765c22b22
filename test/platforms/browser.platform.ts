import { browserSuite } from '../browser/browser-suite.ts';

browserSuite(['narrow', 's0']);
