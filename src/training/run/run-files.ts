/** What a run's store holds. */
export const runFiles = {
  config: 'config.json',
  csv: 'metrics.csv',
  jsonl: 'metrics.jsonl',
  last: 'last.safetensors',
  best: 'best.safetensors',
  model: 'model.safetensors',
} as const;
