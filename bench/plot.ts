/**
 * Bars as SVG: for each setting one bar per system, the median with its spread from least to most.
 *
 * Readable on light and dark pages alike: no background, grey text.
 *
 * @module
 */

export interface Plotted {
  readonly label: string;
  /** By series; `undefined` leaves a gap. */
  readonly spreads: readonly (
    | { readonly median: number; readonly min: number; readonly max: number }
    | undefined
  )[];
}

export interface Plot {
  readonly title: string;
  readonly unit: string;
  readonly series: readonly string[];
  readonly groups: readonly Plotted[];
}

const colors = ["#f6821f", "#5b7fa6", "#9a9a9a"];
const text = 'fill="#888" font-family="system-ui, sans-serif" font-size="12"';
const height = 300;
const [left, right, top, bottom] = [70, 10, 46, 40];
const barWidth = 18;
const groupGap = 16;

/** A whole SVG file. */
export function plotBars({ title, unit, series, groups }: Plot): string {
  const groupWidth = series.length * barWidth + groupGap;
  const width = Math.max(left + right + groups.length * groupWidth, 420);
  const most = Math.max(...groups.flatMap(({ spreads }) => spreads.map((spread) => spread?.max ?? 0)), 0);
  const step = niceStep(most);
  const valueMax = Math.max(Math.ceil(most / step), 1) * step;
  const y = (value: number): number => round(height - bottom - (value / valueMax) * (height - top - bottom));
  const lines = [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img">`,
    `<title>${escapeXml(title)}</title>`,
    `<text x="${left}" y="16" ${text} font-weight="bold">${escapeXml(title)}</text>`,
    ...legend(series),
  ];
  for (let value = 0; value <= valueMax; value += step) {
    lines.push(
      `<line x1="${left}" x2="${width - right}" y1="${y(value)}" y2="${y(value)}" stroke="#8884"/>`,
      `<text x="${left - 6}" y="${y(value) + 4}" text-anchor="end" ${text}>${value.toLocaleString("en-US")}</text>`,
    );
  }
  lines.push(`<text x="${left - 6}" y="${top - 14}" text-anchor="end" ${text}>${escapeXml(unit)}</text>`);
  for (const [index, group] of groups.entries()) {
    const x = left + index * groupWidth + groupGap / 2;
    const middle = x + (series.length * barWidth) / 2;
    for (const [at, spread] of group.spreads.entries()) {
      if (spread === undefined) continue;
      const barX = x + at * barWidth;
      const color = colors[at % colors.length];
      const whiskerX = barX + barWidth / 2 - 1;
      lines.push(
        `<rect x="${barX}" y="${y(spread.median)}" width="${barWidth - 2}" height="${round(y(0) - y(spread.median))}" fill="${color}"/>`,
        `<line x1="${whiskerX}" x2="${whiskerX}" y1="${y(spread.min)}" y2="${y(spread.max)}" stroke="#888"/>`,
      );
    }
    lines.push(
      `<text x="${middle}" y="${height - bottom + 16}" text-anchor="middle" ${text}>${escapeXml(group.label)}</text>`,
    );
  }
  return `${[...lines, "</svg>"].join("\n")}\n`;
}

function legend(series: readonly string[]): string[] {
  return series.flatMap((name, index) => {
    const x = left + index * 110;
    return [
      `<rect x="${x}" y="24" width="10" height="10" fill="${colors[index % colors.length]}"/>`,
      `<text x="${x + 14}" y="33" ${text}>${escapeXml(name)}</text>`,
    ];
  });
}

/** 1, 2 or 5 times a power of ten, so that some five lines fit. */
function niceStep(most: number): number {
  const rough = Math.max(most, 1) / 5;
  const power = 10 ** Math.floor(Math.log10(rough));
  return [1, 2, 5, 10].map((factor) => factor * power).find((step) => step >= rough) ?? 10 * power;
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}

function escapeXml(value: string): string {
  return value.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll('"', "&quot;");
}
