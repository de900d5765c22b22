import { graphCost } from '../../graph/cost.ts';
import type { FormCosts } from '../../report/run-report.ts';
import { buildHeadNet, exactSize } from '../../task/head-net.ts';
import type { DetectConfig, SegmentConfig } from '../recipe/run-config.ts';

/** What each form of a net with a head takes for a whole picture. */
export function headCosts(config: DetectConfig | SegmentConfig): readonly FormCosts[] {
  const { head, model, form, labels, transform } = config;
  const forms = form === 'train' ? (['train', 'deploy'] as const) : (['deploy'] as const);
  return forms.map((one) => {
    const { graph } = buildHeadNet(head, model, labels.length, {
      ...exactSize(transform),
      form: one,
      auxiliary: false,
    });
    const { parameters, macs } = graphCost(graph);
    return { form: one, parameters, macs };
  });
}
