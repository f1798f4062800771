/** What was measured of batches, for people and for programs. */

/** Each figure, what it means, and what it should be. */
const MEANINGS = {
  small_line_bytes: ['bytes of a small line', ''],
  ingest_small_lines_per_s: ['small lines read in a second', '≥ 10,000'],
  ingest_small_worker_cpu_us: ['CPU of the worker, µs to read a small line', ''],
  ingest_small_stores_cpu_us: ['CPU of the stores, µs to read a small line', ''],
  large_input_mb: ['MB of the large input', ''],
  ingest_large_lines_per_s: ['lines of 4 kB read in a second', '≥ 10,000'],
  ingest_large_worker_cpu_us: ['CPU of the worker, µs to read a line of 4 kB', ''],
  ingest_large_stores_cpu_us: ['CPU of the stores, µs to read a line of 4 kB', ''],
  upload_mb_per_s: ['upload, MB/s', ''],
  upload_api_mib: ['API, upload of the large input, MiB more', '≤ 100'],
  ingest_worker_mib: ['worker, reading of the large input, MiB more', '≤ 100'],
  output_worker_mib: ['worker, run and output, MiB more', '≤ 50'],
  output_api_mib: ['API, run and download, MiB more', '≤ 50'],
  download_worker_mib: ['worker, while the output is downloaded, MiB more', '≤ 50'],
  waiting_lines_few: ['lines that wait, few', ''],
  waiting_lines_few_kib: ['Redis with these, KiB', ''],
  waiting_lines_many: ['lines that wait, many', ''],
  waiting_lines_many_kib: ['Redis with these, KiB', ''],
  waiting_lines_ratio: ['many to few', '0.9 – 1.1'],
  waiting_jobs_few: ['single jobs that wait, few', ''],
  waiting_jobs_few_kib: ['Redis with these, KiB', ''],
  waiting_jobs_many: ['single jobs that wait, many', ''],
  waiting_jobs_many_kib: ['Redis with these, KiB', ''],
  waiting_jobs_ratio: ['many to few', '0.9 – 1.1'],
  last_line_to_completed_ms: ['last line to completed, in the database, ms', '≤ 2,000'],
  last_line_to_seen_ms: ['last line to completed, as a client sees it, ms', '≤ 2,000'],
  alone_start_p50_ms: ['a job alone, submit to start, median ms', ''],
  alone_start_p95_ms: ['… p95 ms', ''],
  alone_start_max_ms: ['… longest ms', ''],
  alone_result_p50_ms: ['a job alone, submit to result, median ms', ''],
  alone_result_p95_ms: ['… p95 ms', ''],
  alone_result_max_ms: ['… longest ms', ''],
  beside_200ms_start_p50_ms: ['beside calls of 200 ms, submit to start, median ms', ''],
  beside_200ms_start_p95_ms: ['… p95 ms', '≤ 1,000'],
  beside_200ms_start_max_ms: ['… longest ms', ''],
  beside_200ms_result_p50_ms: ['beside calls of 200 ms, submit to result, median ms', ''],
  beside_200ms_result_p95_ms: ['… p95 ms', '≤ 1,000'],
  beside_200ms_result_max_ms: ['… longest ms', ''],
  beside_5s_start_p50_ms: ['beside calls of 5 s, submit to start, median ms', ''],
  beside_5s_start_p95_ms: ['… p95 ms', '≤ 1,000'],
  beside_5s_start_max_ms: ['… longest ms', ''],
  beside_5s_result_p50_ms: ['beside calls of 5 s, submit to result, median ms', ''],
  beside_5s_result_p95_ms: ['… p95 ms', '≤ 1,000'],
  beside_5s_result_max_ms: ['… longest ms', ''],
  run_lines_per_s: ['lines run in a second', ''],
  run_jobs_per_s: ['single jobs run in a second', ''],
  line_api_cpu_us: ['CPU of the API, µs a line', ''],
  line_worker_cpu_us: ['CPU of the worker, µs a line', ''],
  line_stores_cpu_us: ['CPU of the stores, µs a line', ''],
  job_cpu_us: ['CPU of API and worker, µs a single job', ''],
  job_stores_cpu_us: ['CPU of the stores, µs a single job', ''],
} as const satisfies Record<string, readonly [meaning: string, aim: string]>;

type Name = keyof typeof MEANINGS;

/** Figures by name; null where they can't be told, absent where they were not measured. */
export type Figures = Readonly<Partial<Record<Name, number | null>>>;

const NAMES = Object.keys(MEANINGS) as Name[];

/** The figures in the order in which they are told, rounded to what they are good for. */
export function rounded(figures: Figures): Figures {
  const known = NAMES.filter((name) => figures[name] !== undefined);
  return Object.fromEntries(known.map((name) => [name, roundedTo(figures[name] ?? null)]));
}

/** A line for each figure. */
export function tableOf(figures: Figures): string {
  const known = NAMES.filter((name) => figures[name] !== undefined);
  const line = (name: Name): string => {
    const [meaning, aim] = MEANINGS[name];
    return meaning.padEnd(54) + String(figures[name] ?? '-').padStart(10) + aim.padStart(14);
  };
  return ['', ''.padEnd(54) + 'seen'.padStart(10) + 'aim'.padStart(14), ...known.map(line), ''].join('\n');
}

function roundedTo(value: number | null): number | null {
  if (value === null) return null;
  return Number(value.toFixed(Math.abs(value) < 10 ? 3 : Math.abs(value) < 100 ? 1 : 0));
}
