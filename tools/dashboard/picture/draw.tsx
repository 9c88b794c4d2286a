// Copyright: (c) 2026, workbot.stability contributors
// GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later
//
// The upper part of docs/dashboard.json, drawn by Grafana's own components from what a Prometheus answered
// (dashboard/answers.py); tools/dashboard-picture puts both files in here. What else Grafana adds to its components is
// below: the grid, the icons, the settings' defaults, gaps, annotations and the header.

import {
  applyFieldOverrides, applyNullInsertThreshold, createTheme, dateTime, FieldConfigOptionsRegistry, FieldType,
  getDisplayValueAlignmentFactors, getFieldDisplayValues, rangeUtil, renderLegendFormat, ThemeContext, toDataFrame,
} from '@grafana/data';
import type { DataFrame, FieldConfigPropertyItem, FieldConfigSource, FieldDisplay, TimeRange } from '@grafana/data';
import { BigValue, GlobalStyles, Icon, PanelChrome, TimeSeries, VizRepeater } from '@grafana/ui';
import type { UPlotConfigBuilder, VizRepeaterRenderValueProps } from '@grafana/ui';
import { useLayoutEffect } from 'react';
import { createRoot } from 'react-dom/client';
import 'uplot/dist/uPlot.min.css';

interface Panel {
  id: number;
  type: string;
  title: string;
  description?: string;
  gridPos: { x: number; y: number; w: number; h: number };
  fieldConfig: FieldConfigSource;
  /** Each type's own, handed to its component as they are. */
  options: any;
  targets: { legendFormat: string }[];
}

interface Dashboard {
  title: string;
  panels: Panel[];
  annotations: { list: { iconColor: string; step: string; useValueForTime: boolean }[] };
}

interface Series {
  metric: Record<string, string>;
  values: [seconds: number, value: string][];
}

interface Answers {
  variables: Record<string, string>;
  from: number;
  to: number;
  step: number;
  /** By id, for each of the panel's targets. */
  panels: Record<string, Series[][]>;
  annotations: Series[][];
}

type Shown = { panel: Panel; width: number; height: number };

declare function require(file: string): unknown;
const dashboard = require('dashboard.json') as Dashboard;
const answers = require('answers.json') as Answers;

// Components load them from Grafana's server.
const icons: Record<string, unknown> = {
  'angle-down.svg': require('@grafana/ui/dist/public/img/icons/unicons/angle-down.svg'),
  'clock-nine.svg': require('@grafana/ui/dist/public/img/icons/unicons/clock-nine.svg'),
  'info-circle.svg': require('@grafana/ui/dist/public/img/icons/unicons/info-circle.svg'),
};
window.fetch = async (path) => {
  const icon = icons[String(path).split('/').at(-1)!];
  return new Response(String(icon), { headers: { 'Content-Type': 'image/svg+xml' } });
};

// State timelines begin here: their component is not in Grafana's packages.
const end = dashboard.panels.find((panel) => panel.type === 'row' && panel.title === 'Recovery')!.gridPos.y;
const panels = dashboard.panels.filter((panel) => panel.gridPos.y < end);

// Grafana's grid has 24 columns.
const [pageWidth, edge, headerHeight, rowHeight, gap] = [1600, 16, 56, 30, 8];
const columnWidth = (pageWidth - 2 * edge - 23 * gap) / 24;

const [from, to] = [answers.from * 1000, answers.to * 1000];
const minutes = Math.round((answers.to - answers.from) / 60);
const raw = { from: `now-${minutes}m`, to: 'now' };
const timeRange: TimeRange = { from: dateTime(from), to: dateTime(to), raw };
const timeZone = 'utc';
const theme = createTheme({ colors: { mode: 'dark' } });
const replaceVariables = (text: string) => text;

// A setting without an entry here would be ignored.
const settings = panels.flatMap(({ fieldConfig }) => [
  'color',
  ...Object.keys(fieldConfig?.defaults ?? {}).filter((name) => name !== 'custom'),
  ...Object.keys(fieldConfig?.defaults.custom ?? {}).map((name) => `custom.${name}`),
  ...(fieldConfig?.overrides ?? []).flatMap(({ properties }) => properties.map(({ id }) => id)),
]);
const fieldConfigRegistry = new FieldConfigOptionsRegistry(() =>
  [...new Set(settings)].map((id): FieldConfigPropertyItem => {
    const path = id.replace('custom.', '');
    const taken = { process: (value: unknown) => value, shouldApply: () => true };
    const editors = { editor: () => null, override: () => null };
    return { id, name: id, path, isCustom: path !== id, ...taken, ...editors };
  }),
);

function configOf({ type, fieldConfig: { defaults, overrides } }: Panel): FieldConfigSource {
  const color = type === 'timeseries' ? { mode: 'palette-classic' } : undefined;
  return { defaults: { color, ...defaults }, overrides };
}

function framesOf(panel: Panel): DataFrame[] {
  const data = panel.targets.flatMap(({ legendFormat }, target) =>
    answers.panels[panel.id]![target]!.map(({ metric, values }) => {
      const numbers = values.map(([, value]) => Number(value)).map((value) => (Number.isFinite(value) ? value : null));
      const times = values.map(([seconds]) => seconds * 1000);
      const config = { displayNameFromDS: renderLegendFormat(legendFormat, metric) };
      const fields = [
        { name: 'Time', type: FieldType.time, values: times, config: { interval: answers.step * 1000 } },
        { name: 'Value', type: FieldType.number, values: numbers, labels: metric, config },
      ];
      return toDataFrame({ fields });
    }),
  );
  const fieldConfig = configOf(panel);
  return applyFieldOverrides({ data, fieldConfig, fieldConfigRegistry, replaceVariables, theme, timeZone });
}

function Numbers({ panel, ...size }: Shown) {
  const { reduceOptions, orientation, colorMode, graphMode, justifyMode, textMode, wideLayout } = panel.options;
  const data = framesOf(panel);
  const fieldConfig = configOf(panel);
  return (
    <VizRepeater
      {...size}
      {...{ orientation, itemSpacing: 3, autoGrid: true, source: data, renderCounter: 0 }}
      getValues={() => getFieldDisplayValues({ fieldConfig, reduceOptions, replaceVariables, theme, data, timeZone })}
      getAlignmentFactors={getDisplayValueAlignmentFactors}
      renderValue={({ value, width, height, count }: VizRepeaterRenderValueProps<FieldDisplay>) => (
        <BigValue
          {...{ width, height, count, colorMode, graphMode, justifyMode, textMode, theme }}
          value={value.display}
          disableWideLayout={!wideLayout}
        />
      )}
    />
  );
}

function Graph({ panel, ...size }: Shown) {
  const frames = framesOf(panel).map((frame) =>
    // the component looks for gaps in the first series only
    applyNullInsertThreshold({ frame, refFieldPseudoMin: from, refFieldPseudoMax: to }),
  );
  if (frames.length === 0) return <div className="empty">No data</div>;
  return (
    <TimeSeries {...size} {...{ frames, timeRange, timeZone }} legend={panel.options.legend}>
      {(config) => <Marks config={config} />}
    </TimeSeries>
  );
}

const marks = dashboard.annotations.list.flatMap(({ iconColor, step, useValueForTime }, annotation) => {
  const times = answers.annotations[annotation]!.flatMap(({ values }) => {
    if (useValueForTime) return [...new Set(values.map(([, value]) => Number(value)))];
    // of what holds for a while its beginning
    const found = values.map(([seconds]) => seconds * 1000);
    return found.filter((time, at) => at === 0 || time - found[at - 1]! > rangeUtil.intervalToMs(step));
  });
  const colour = theme.visualization.getColorByName(iconColor);
  return times.filter((time) => from < time && time < to).map((time) => ({ time, colour }));
});

function Marks({ config }: { config: UPlotConfigBuilder }) {
  useLayoutEffect(() => {
    config.addHook('draw', ({ ctx, bbox, valToPos }) => {
      ctx.save();
      ctx.lineWidth = 2;
      ctx.setLineDash([5, 5]);
      for (const { time, colour } of marks) {
        const [x, bottom] = [valToPos(time, 'x', true), bbox.top + bbox.height];
        ctx.strokeStyle = ctx.fillStyle = colour;
        ctx.stroke(new Path2D(`M ${x} ${bbox.top} V ${bottom}`));
        ctx.fill(new Path2D(`M ${x} ${bottom} l 5 5 h -10 z`));
      }
      ctx.restore();
    });
  }, [config]);
  return null;
}

function Placed({ panel }: { panel: Panel }) {
  const { x, y, w, h } = panel.gridPos;
  const [left, top] = [edge + x * (columnWidth + gap), headerHeight + y * (rowHeight + gap)];
  const [width, height] = [w * (columnWidth + gap) - gap, h * (rowHeight + gap) - gap];
  const Content = panel.type === 'stat' ? Numbers : Graph;
  if (panel.type === 'row') {
    return <h2 style={{ left, top }}><Icon name="angle-down" /> {panel.title}</h2>;
  }
  return (
    <section style={{ left, top }}>
      <PanelChrome title={panel.title} description={panel.description} width={width} height={height}>
        {(innerWidth, innerHeight) => <Content panel={panel} width={innerWidth} height={innerHeight} />}
      </PanelChrome>
    </section>
  );
}

const { colors, typography: { bodySmall, fontWeightMedium, h4, h5 } } = theme;
const style = `
  *, ::before, ::after { box-sizing: border-box; }
  header { display: flex; align-items: center; gap: 8px; height: ${headerHeight}px; padding: 0 ${edge}px; }
  header h1 { margin: 0 16px 0 0; font-size: ${h4.fontSize}; font-weight: ${fontWeightMedium}; }
  header dl { display: flex; margin: 0; border: 1px solid ${colors.border.medium}; line-height: 30px; }
  header dt, header dd { margin: 0; padding: 0 8px; font-size: ${bodySmall.fontSize}; }
  header dt { background: ${colors.background.secondary}; font-weight: ${fontWeightMedium}; }
  header dd { min-width: 80px; }
  header time { display: flex; align-items: center; gap: 8px; margin-left: auto; }
  header time span { color: ${colors.warning.text}; font-size: ${bodySmall.fontSize}; }
  body > h2, section { position: absolute; }
  body > h2 { display: flex; align-items: center; gap: 8px; margin: 0; line-height: ${rowHeight}px; }
  body > h2 { font-size: ${h5.fontSize}; font-weight: ${fontWeightMedium}; }
  .empty { display: grid; height: 100%; place-items: center; color: ${colors.text.secondary}; }
`;

createRoot(document.body).render(
  <ThemeContext.Provider value={theme}>
    <GlobalStyles />
    <style>{style}</style>
    <header>
      <h1>{dashboard.title}</h1>
      {Object.entries(answers.variables).map(([label, value]) => (
        <dl key={label}><dt>{label}</dt><dd>{value}</dd></dl>
      ))}
      <time><Icon name="clock-nine" /> Last {minutes} minutes <span>UTC</span></time>
    </header>
    {panels.map((panel) => <Placed key={panel.id} panel={panel} />)}
  </ThemeContext.Provider>,
);
