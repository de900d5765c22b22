// Writes src/hub/labels/imagenet1k.ts from two sources:
//   node scripts/generate-labels.mjs SHORT.json DATA.NOUN
// SHORT.json: [{ index, synset, name }], the class order with one short unique name each (imagenet-simple-labels);
// DATA.NOUN:  WordNet 3.0's data.noun (Debian: wordnet-base), whose synonyms are the names that mmpretrain prints.
import { readFileSync, writeFileSync } from 'node:fs';

const [shortFile, nounFile] = process.argv.slice(2);
if (!shortFile || !nounFile) {
  console.error('usage: node scripts/generate-labels.mjs SHORT.json DATA.NOUN');
  process.exit(2);
}

// A line is: offset lex_file type word_count(hex) word lex_id word lex_id ... (wndb(5WN))
const synonyms = new Map();
for (const line of readFileSync(nounFile, 'latin1').split('\n')) {
  if (line.startsWith(' ') || line === '') continue;
  const fields = line.split(' ');
  const words = Array.from({ length: Number.parseInt(fields[3], 16) }, (_, i) => fields[4 + 2 * i]);
  synonyms.set(
    `n${fields[0]}`,
    words.map((word) => word.replaceAll('_', ' ')),
  );
}

const classes = JSON.parse(readFileSync(shortFile, 'utf8'));
const lines = classes.map(({ index, synset, name }, position) => {
  const words = synonyms.get(synset);
  if (index !== position || !words)
    throw new Error(`class ${position}: index ${index}, synset ${synset} unknown`);
  return `${synset} ${words.join(', ')}${name === words[0] ? '' : `|${name}`}`;
});
if (lines.some((line) => /[`$\\]/.test(line))) throw new Error('a name needs escaping in a template string');

const text = `/**
 * The 1000 classes of ImageNet-1k in training order, one a line: WordNet synset, its synonyms in WordNet 3.0, and
 * after a bar a short unique name where the first synonym is not it. Written by scripts/generate-labels.mjs;
 * NOTICE.md has the sources and their terms.
 */
export const imagenet1kText = \`${lines.join('\n')}\`;
`;
writeFileSync(new URL('../src/hub/labels/imagenet1k.ts', import.meta.url), text);
console.log(`${lines.length} classes, ${text.length} characters`);
