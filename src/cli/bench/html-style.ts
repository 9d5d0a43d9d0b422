/** How the report looks. Colours of variants are `c0` … in the order of the columns. */

export const colours = 6

const swatches = Array.from(
  { length: colours },
  (_, i) => `.c${i} { fill: var(--c${i}); background: var(--c${i}) } .s${i} { stroke: var(--c${i}) }`,
)

export const style: string = `
:root { color-scheme: light dark; --ink: #1b2430; --dim: #66717f; --line: #e1e5ea; --paper: #fff; --ground: #f4f5f7;
  --soft: #f0f3f6; --good: #1d7a4f; --good-soft: #e2f3ea; --bad: #b4412f; --bad-soft: #fbe9e5;
  --c0: #0b6e99; --c1: #d9730d; --c2: #4d8f4a; --c3: #8a63b8; --c4: #b8433f; --c5: #8d8371;
  --f-core: #f2b36b; --f-wire: #f4d58a; --f-node: #e9967f; --f-client: #9cc8a3; --f-lib: #c9b8e0; --f-platform: #b9cbe0;
  --f-native: #c9ced6; --f-other: #dcd6ca }
@media (prefers-color-scheme: dark) { :root { --ink: #e4e8ed; --dim: #97a2b0; --line: #2f3742; --paper: #191e25;
  --ground: #11151a; --soft: #20262f; --good: #6fce9c; --good-soft: #173527; --bad: #ef8f7c; --bad-soft: #3d211c;
  --c0: #4aa8d0; --c1: #f0954a; --c2: #7cba78; --c3: #b493dd; --c4: #e0746f; --c5: #b5aa96;
  --f-core: #a86f2c; --f-wire: #8f7631; --f-node: #9c5240; --f-client: #447a4f; --f-lib: #6a5590; --f-platform: #42607f;
  --f-native: #4a525e; --f-other: #5d574b } }
* { box-sizing: border-box }
html { scroll-behavior: smooth }
body { margin: 0; background: var(--ground); color: var(--ink); font: 15px/1.55 system-ui, sans-serif }
header { background: var(--paper); border-bottom: 1px solid var(--line) }
header > *, main { max-width: 1000px; margin: 0 auto; padding: 0 24px }
header > :first-child { padding-top: 32px } main { padding-bottom: 64px }
h1 { margin: 0 auto 14px; font-size: 30px; letter-spacing: -.02em }
h2 { margin: 48px 0 0; font-size: 22px; letter-spacing: -.01em; scroll-margin-top: 56px }
h3 { margin: 0; font-size: 16px } h4 { margin: 18px 0 6px; font-size: 14px }
.what { color: var(--dim); margin: 2px 0 14px }
dl { display: flex; flex-wrap: wrap; gap: 12px 36px; margin: 0 auto 16px }
dt { color: var(--dim); font-size: 12px } dd { margin: 0; font-weight: 600 }
.noise { color: var(--dim); padding-bottom: 16px }
.noise.loud { color: var(--bad) }
nav { position: sticky; top: 0; z-index: 1; background: var(--paper); border-bottom: 1px solid var(--line); overflow-x: auto }
nav div { max-width: 1000px; margin: 0 auto; padding: 10px 24px; display: flex; gap: 18px; white-space: nowrap }
nav a { color: var(--c0); text-decoration: none } nav a:hover { text-decoration: underline }
article { background: var(--paper); border: 1px solid var(--line); border-radius: 10px; padding: 18px 22px; margin: 14px 0 }
.title { display: flex; flex-wrap: wrap; gap: 6px 10px; align-items: baseline; margin-bottom: 10px }
.chip { border-radius: 99px; padding: 1px 10px; font-size: 12.5px; font-weight: 600; white-space: nowrap;
  background: var(--soft); color: var(--dim) }
.chip.good { background: var(--good-soft); color: var(--good) } .chip.bad { background: var(--bad-soft); color: var(--bad) }
figure { margin: 0 0 12px } figcaption { color: var(--dim); font-size: 12px; text-align: center; margin-top: 2px }
svg { width: 100%; height: auto; display: block }
svg text { font-size: 12px; fill: var(--ink); dominant-baseline: central }
svg .label { text-anchor: end } svg .tick { text-anchor: middle; fill: var(--dim) }
svg .grid { stroke: var(--line); fill: none } svg .spread { stroke: var(--ink); fill: none; stroke-width: 1.2 }
svg .curve { fill: none; stroke-width: 2; stroke-linejoin: round }
.flame { min-width: 900px } .flame text { font: 11px ui-monospace, monospace; pointer-events: none }
.flame g:hover rect { stroke: var(--ink); stroke-width: 1 }
${['core', 'wire', 'node', 'client', 'lib', 'platform', 'native', 'other'].map(area => `.f-${area} { fill: var(--f-${area}); background: var(--f-${area}) }`).join('\n')}
.legend { display: flex; flex-wrap: wrap; gap: 4px 16px; color: var(--dim); font-size: 12px; margin: 6px 0 10px }
details { border-top: 1px solid var(--line); margin-top: 14px; padding-top: 10px } summary { cursor: pointer; font-weight: 600 }
.failed { color: var(--bad); margin: 8px 0 0 }
.wide { overflow-x: auto } table { border-collapse: collapse; font-size: 13px; font-variant-numeric: tabular-nums }
th, td { text-align: right; padding: 5px 12px; border-top: 1px solid var(--line); white-space: nowrap }
thead th { border: 0; vertical-align: bottom; font-weight: 600; font-size: 12.5px }
tbody th, .left { text-align: left; font-weight: 500; padding-left: 0 } tbody tr:hover { background: var(--soft) }
th small { color: var(--dim); font-weight: 400; margin-left: 4px } td.ratio { color: var(--dim) }
td.good { color: var(--good) } td.bad { color: var(--bad) }
th i, .legend i { display: inline-block; width: 10px; height: 10px; border-radius: 3px; margin-right: 6px }
.glance { width: 100% } .glance td:last-child, .glance th { white-space: normal } .glance th { min-width: 230px } .glance a { color: inherit; text-decoration: none } .glance a:hover { text-decoration: underline }
code { font: 12px ui-monospace, monospace } .place { color: var(--dim) }
@media print { nav { display: none } article { break-inside: avoid } }
${swatches.join('\n')}
`
