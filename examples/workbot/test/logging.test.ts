import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createErrorLog } from '../src/logging.ts';
import type { Logger } from '../src/logging.ts';

test('a repeated error is logged once in ten seconds, with the number left out', () => {
  const lines: [string, number][] = [];
  const log = { error: ({ suppressed }: { suppressed: number }, topic: string) => lines.push([topic, suppressed]) };
  let now = 0;
  const logError = createErrorLog(log as unknown as Logger, () => now);
  for (now = 0; now < 10_000; now += 1_000) logError('database', new Error('gone'));
  logError('other', new Error('gone'));
  logError('database', new Error('gone'));
  assert.deepEqual(lines, [['database', 0], ['other', 0], ['database', 9]]);
});
