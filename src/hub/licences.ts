/** Terms under which weights were published. They bind the weights, not this package's code. */
export interface Licence {
  readonly title: string;
  /** Where the publisher states it. */
  readonly url: string;
  /** One paragraph for a user to read before the first download. */
  readonly notice: string;
}

export type LicenceId = 'apple-ml-mobileone' | 'apple-corenet' | 'apache-2.0' | 'mobileone-license';

const appleTerms =
  'personal, non-exclusive, unmodified redistribution must keep the notice, no endorsement, no patent rights, as is';

export const licences: Readonly<Record<LicenceId, Licence>> = {
  'apple-ml-mobileone': {
    title: "Apple's ml-mobileone licence",
    url: 'https://github.com/apple/ml-mobileone/blob/main/LICENSE',
    notice: `These weights were trained and published by Apple with ml-mobileone. Its LICENSE is the only licence stated there (${appleTerms}); it speaks of "Apple Software" and does not name the weights. Read it before you use or pass them on.`,
  },
  'apple-corenet': {
    title: "Apple's CoreNet licence",
    url: 'https://github.com/apple/corenet/blob/main/LICENSE',
    notice: `These weights were trained and published by Apple with CoreNet. Its LICENSE is the only licence stated there (${appleTerms}); it speaks of "Apple Software" and does not name the weights. Read it before you use or pass them on.`,
  },
  'apache-2.0': {
    title: 'Apache License 2.0 (mmpretrain)',
    url: 'https://github.com/open-mmlab/mmpretrain/blob/main/LICENSE',
    notice:
      'These weights were trained from scratch and published by OpenMMLab with mmpretrain, which is released under the Apache License 2.0; no separate licence is stated for the weights.',
  },
  'mobileone-license': {
    title: 'mobileone-license (timm, from Apple)',
    url: 'https://huggingface.co/timm/mobileone_s0.apple_in1k',
    notice:
      "These weights are Apple's, converted by timm and tagged mobileone-license there; Apple's own terms are at https://github.com/apple/ml-mobileone/blob/main/LICENSE. Read them before you use or pass the weights on.",
  },
};
