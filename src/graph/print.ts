import { formatShape } from '../tensor/tensor.ts';
import { type Graph, type ValueId, valueAt } from './graph.ts';
import { formatAttrs } from './node-rules.ts';

/** Stable text form of a graph, one line per input, node and output; parameters stand in braces where used. */
export function printGraph(graph: Graph): string {
  const isParameter = new Set(graph.parameters.map((parameter) => parameter.value));
  const use = (id: ValueId): string => {
    const { name, shape } = valueAt(graph, id);
    return isParameter.has(id) ? `{${name} ${formatShape(shape)}}` : name;
  };
  const lines = [`graph ${graph.name}`];
  for (const id of graph.inputs)
    lines.push(`  input ${valueAt(graph, id).name} ${formatShape(valueAt(graph, id).shape)}`);
  for (const [index, node] of graph.nodes.entries()) {
    if (index === graph.gate?.at) lines.push(`  gate ${use(graph.gate.open)}`);
    const results = node.outputs.map(
      (id) => `${valueAt(graph, id).name} ${formatShape(valueAt(graph, id).shape)}`,
    );
    const attrs = formatAttrs(node);
    lines.push(
      `  ${results.join(', ')} = ${node.kind}${attrs ? ` <${attrs}>` : ''} (${node.inputs.map(use).join(', ')})`,
    );
  }
  for (const { name, value } of graph.outputs) lines.push(`  output ${name} = ${use(value)}`);
  return `${lines.join('\n')}\n`;
}
