/** The one style sheet of a report: follows the reader's light or dark setting, prints well, needs no script. */
export const pageStyle = `
:root { color-scheme: light dark; --ground: #ffffff; --card: #f6f8fa; --ink: #1f2933; --quiet: #5f6b76; --line: #dfe4e8; --bad: #b34700; }
@media (prefers-color-scheme: dark) {
  :root { --ground: #14181d; --card: #1d232a; --ink: #e6eaee; --quiet: #9aa7b4; --line: #36404a; --bad: #ff9d5c; }
  svg .plot-ground { fill: #14181d; } svg .plot-ink { fill: #e6eaee; } svg .plot-quiet { fill: #9aa7b4; }
  svg .plot-grid { stroke: #2d363f; } svg .plot-tick { stroke: #7b8894; }
  svg [stroke='#0072B2'] { stroke: #4aa8e0; } svg [fill='#0072B2'] { fill: #4aa8e0; }
}
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 1120px; padding: 24px; background: var(--ground); color: var(--ink);
  font: 15px/1.5 system-ui, -apple-system, 'Segoe UI', Roboto, 'Noto Sans', 'DejaVu Sans', sans-serif; }
h1 { font-size: 26px; margin: 0; overflow-wrap: anywhere; } h2 { font-size: 18px; margin: 36px 0 8px; }
.status, .note { color: var(--quiet); margin: 2px 0 12px; }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(150px, 1fr)); gap: 12px; margin: 20px 0; }
.card { background: var(--card); border: 1px solid var(--line); border-radius: 8px; padding: 10px 14px; }
.card b { display: block; font-size: 22px; font-variant-numeric: tabular-nums; } .card span { color: var(--quiet); font-size: 13px; }
.plots { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(420px, 100%), 1fr)); gap: 16px; align-items: start; }
.row { display: flex; flex-wrap: wrap; gap: 16px 40px; align-items: flex-start; margin-bottom: 16px; }
.row > div { max-width: 100%; overflow: auto; max-height: 720px; }
svg { max-width: 100%; height: auto; display: block; }
.row svg { max-width: none; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: 4px 14px 4px 0; border-bottom: 1px solid var(--line); text-align: right; white-space: nowrap; }
th { position: sticky; top: 0; background: var(--ground); color: var(--quiet); font-weight: 600; }
th:first-child, td:first-child { text-align: left; white-space: normal; }
.sheet { display: grid; grid-template-columns: repeat(auto-fill, minmax(132px, 1fr)); gap: 14px; }
.legend span { display: inline-block; margin-right: 14px; font-size: 13px; }
.legend i { display: inline-block; width: 12px; height: 12px; margin-right: 6px; vertical-align: -1px; }
figure { margin: 0; min-width: 0; } figure img { display: block; max-width: 100%; height: auto; border-radius: 4px; }
figcaption { font-size: 12px; margin-top: 4px; }
figcaption span { display: block; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; color: var(--quiet); }
figcaption span:first-child { color: var(--ink); font-weight: 600; }
pre { background: var(--card); border: 1px solid var(--line); border-radius: 8px; padding: 12px; overflow-x: auto; font-size: 13px; }
summary { cursor: pointer; }
@media print { .row > div { max-height: none; } details { display: none; } }
`;
