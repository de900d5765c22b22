/** A net that comes with the package: it answers without a network. Its file says the rest. */
export interface BuiltInModel {
  readonly name: string;
  /** Within the package's folder `models`. */
  readonly file: string;
  /** What it can name. */
  readonly knows: string;
}

export const builtInModels: readonly BuiltInModel[] = [
  { name: 'grocery', file: 'grocery/model.safetensors', knows: '20 kinds of fruit, vegetables and cartons' },
];

export function findBuiltIn(name: string): BuiltInModel | undefined {
  return builtInModels.find((model) => model.name === name);
}
