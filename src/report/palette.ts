/**
 * Colours of plots. Lines use Okabe and Ito's set, told apart with any kind of colour vision; heat maps go from pale to
 * dark, so that they read in grey too. Marks carry a class as well, by which a page may recolour them.
 */
export const lineColours = ['#0072B2', '#D55E00', '#009E73', '#CC79A7', '#E69F00', '#56B4E9'] as const;

export const ink = '#1f2933';
export const quietInk = '#5f6b76';
export const gridColour = '#dfe4e8';
export const good = '#0072B2';
type Rgb = readonly [number, number, number];

const heats = {
  right: [
    [247, 250, 253],
    [198, 219, 239],
    [107, 174, 214],
    [33, 113, 181],
    [8, 48, 107],
  ],
  wrong: [
    [247, 250, 253],
    [253, 208, 162],
    [253, 141, 60],
    [217, 72, 1],
    [127, 39, 4],
  ],
} as const satisfies Readonly<Record<string, readonly Rgb[]>>;

/** From pale to dark: blue for what is right, orange for what is not. @param share 0–1 */
export function heatColour(share: number, hue: keyof typeof heats): string {
  const stops: readonly Rgb[] = heats[hue];
  const at = Math.min(1, Math.max(0, share)) * (stops.length - 1);
  const low = stops[Math.floor(at)] ?? heats.right[0];
  const high = stops[Math.ceil(at)] ?? low;
  const part = at - Math.floor(at);
  const channels = low.map((value, c) => Math.round(value + ((high[c] ?? 0) - value) * part));
  return `#${channels.map((value) => value.toString(16).padStart(2, '0')).join('')}`;
}

/** Of text on a heat colour. */
export const inkOnHeat = (share: number): string => (share > 0.5 ? '#ffffff' : ink);
