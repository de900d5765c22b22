/**
 * A font of 5 × 7 dots with two rows below for descenders, for ASCII from the space on. A glyph is its rows from the
 * top, each one digit of base 32 whose bits are dots, the left one highest; rows left out are empty.
 */
const glyphs = (
  '0 4444404 aaa aavavaa 4fke5u4 op248j3 cik8lid 448 2488842 8422248 04lel4 044v44 00000448 000v 00000cc 01248g ' +
  'ehjlphe 4c4444e eh1248v v2421he 26aiv22 vgu11he 68guhhe v124888 ehhehhe ehhf12c ' +
  '0cc0cc 0cc0c48 248g842 00v0v 8421248 eh12404 eh1dlle ' +
  'ehhvhhh uhhuhhu ehggghe sihhhis vgguggv vgguggg ehgnhhf hhhvhhh e44444e 72222ic hikokih ggggggv hrllhhh ' +
  'hhpljhh ehhhhhe uhhuggg ehhhlid uhhukih fgge11u v444444 hhhhhhe hhhhha4 hhhllla hha4ahh hhha444 v1248gv ' +
  'e88888e 0g8421 e22222e 4ah 0000000v 842 ' +
  '00e1fhf ggmphhu 00egghe 11djhhf 00ehvge 698s888 00fhhhf1e ggmphhh 40c444e 2062222ic ggikoki c44444e 00qllhh ' +
  '00mphhh 00ehhhe 00uhhhugg 00fhhhf11 00mpggg 00fge1u 88s8896 00hhhjd 00hhha4 00hhlla 00ha4ah 00hhhhf1e 00v248v ' +
  '2448442 4444444 8442448 008l2'
).split(' ');
const unknown = 'vhhhhhv';

const columns = 5;
export const glyphHeight = 9;
const advance = columns + 1;

/** Rows of each letter, as bits; accents are left out, other letters that the font lacks become a frame. */
function letters(text: string): readonly (readonly number[])[] {
  const plain = text.normalize('NFD').replace(/\p{M}/gu, '');
  return [...plain].map((letter) => {
    const glyph = glyphs[(letter.codePointAt(0) ?? 0) - 32] ?? unknown;
    return [...glyph].map((row) => Number.parseInt(row, 32));
  });
}

/** In dots, without the gap after the last letter. */
export const textWidth = (text: string): number => Math.max(0, letters(text).length * advance - 1);

/** Calls `dot` for every dot, counted from the left top of the text. */
export function eachDot(text: string, dot: (column: number, row: number) => void): void {
  letters(text).forEach((rows, i) => {
    rows.forEach((bits, row) => {
      for (let column = 0; column < columns; column++)
        if (bits & (1 << (columns - 1 - column))) dot(i * advance + column, row);
    });
  });
}

/** A text that is at most so many dots wide, its end left out where it must be. */
export function fitText(text: string, dots: number): string {
  if (textWidth(text) <= dots) return text;
  let kept = [...text];
  while (kept.length > 0 && textWidth(`${kept.join('')}..`) > dots) kept = kept.slice(0, -1);
  return kept.length > 0 ? `${kept.join('')}..` : '';
}
