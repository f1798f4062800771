import type { Retention } from '../config/config.js';
import { cutoffsOf } from './cutoffs.js';

const NOW = new Date('2026-11-30T12:00:00Z');
const RETENTION: Retention = {
  jobsDays: 30,
  batchesDays: 0.5,
  deliveriesDays: null,
  filesDays: null,
  projects: new Map([['short', { jobsDays: 1, batchesDays: 1, deliveriesDays: 1, filesDays: 2 }]]),
};

test('what ended longer ago than the days that are given is too old, and nothing is that is kept for ever', () => {
  expect(cutoffsOf(RETENTION, 'any', NOW)).toEqual({
    jobs: new Date('2026-10-31T12:00:00Z'),
    batches: new Date('2026-11-30T00:00:00Z'),
    deliveries: null,
    files: null,
  });
});

test('a project that is named has its own days', () => {
  const day = new Date('2026-11-29T12:00:00Z');
  const twoDays = new Date('2026-11-28T12:00:00Z');
  expect(cutoffsOf(RETENTION, 'short', NOW)).toEqual({
    jobs: day,
    batches: day,
    deliveries: day,
    files: twoDays,
  });
});
