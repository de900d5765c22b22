import assert from 'node:assert/strict';
import { test } from 'node:test';
import { memoryFiles } from '../files.ts';
import { annotatedFiles } from '../procedural/annotated-files.ts';
import { annotatedTasks } from './recognize-task.ts';

const scenes = { train: 2, val: 1, seed: 1, width: 32, height: 32 };
const folder = (files: Readonly<Record<string, string>>) =>
  memoryFiles(
    'folder',
    new Map(Object.entries(files).map(([path, text]) => [path, new TextEncoder().encode(text)])),
  );

test('what a folder is annotated for', async () => {
  assert.deepEqual(await annotatedTasks(annotatedFiles({ ...scenes, annotations: 'masks' })), ['segment']);
  assert.deepEqual(await annotatedTasks(annotatedFiles({ ...scenes, annotations: 'boxes' })), ['detect']);
  const voc = { 'Annotations/1.xml': '<annotation></annotation>', 'JPEGImages/1.jpg': '' };
  assert.deepEqual(await annotatedTasks(folder(voc)), ['detect']);
  assert.deepEqual(await annotatedTasks(folder({ 'images/1.jpg': '', 'labels/1.txt': '0 0.5 0.5 1 1' })), [
    'detect',
  ]);
  const both = { ...voc, 'SegmentationClass/1.png': '' };
  assert.deepEqual(await annotatedTasks(folder(both)), ['detect', 'segment']);
  const classes = {
    'train/cat/1.jpg': '',
    'train/dog/2.jpg': '',
    'notes.json': '{"a": 1}',
    'labels.txt': 'cat',
  };
  assert.deepEqual(await annotatedTasks(folder(classes)), []);
});
