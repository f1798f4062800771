/** What is measured of Baton beside those whom it is held against. */
import type { Figures, Meanings } from './figures.js';

export const MEANINGS = {
  bare_per_s: ['(a) bare BullMQ and one call, jobs a second', ''],
  singles_per_s: ['(b) Baton, single jobs, jobs a second', ''],
  batch_per_s: ['(c) Baton, lines of a batch, lines a second', ''],
  batch_whole_per_s: ['    from its creation to its output, lines a second', ''],
  gateway_per_s: ['(e) gateway, requests a second', ''],
  flaky_bare_per_s: ['(d) the same with a fallback: bare', ''],
  flaky_singles_per_s: ['    Baton, single jobs', ''],
  flaky_batch_per_s: ['    Baton, lines of a batch', ''],
  flaky_gateway_per_s: ['    gateway', ''],
  batch_to_bare: ['(c) to (a)', '≥ 0.5'],
  flaky_batch_to_bare: ['    with a fallback', '≥ 0.5'],
  batch_to_gateway: ['(c) to (e)', '≥ 3'],
  flaky_batch_to_gateway: ['    with a fallback', '≥ 3'],
  singles_to_gateway: ['(b) to (e)', '≥ 1.5'],
  flaky_singles_to_gateway: ['    with a fallback', '≥ 1.5'],
  apart_singles_to_gateway: ['(b) to (e), API and worker apart', '≥ 1.5'],
  apart_batch_to_bare: ['(c) to (a), API and worker apart', '≥ 0.5'],
  bare_cpu_us: ['CPU of the bare worker, µs a job', ''],
  bare_stores_cpu_us: ['CPU of its store, µs a job', ''],
  singles_cpu_us: ['CPU of Baton, µs a single job', ''],
  singles_stores_cpu_us: ['CPU of its stores, µs a single job', ''],
  batch_cpu_us: ['CPU of Baton, µs a line', ''],
  batch_stores_cpu_us: ['CPU of its stores, µs a line', ''],
  gateway_cpu_us: ['CPU of the gateway, µs a request', ''],
} as const satisfies Meanings<string>;

export type RaceFigures = Figures<keyof typeof MEANINGS>;
