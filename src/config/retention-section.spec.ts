import { readRetention } from './retention-section.js';
import { Section } from './section.js';

function read(value: unknown): { retention: unknown; problems: string[] } {
  const problems: string[] = [];
  const retention = readRetention(
    Section.open('baton.yaml: ', { retention: value }, problems).section('retention'),
  );
  return { retention, problems };
}

const NONE = new Map();

test.each([
  [undefined, { jobsDays: 30, batchesDays: 30, deliveriesDays: 30, filesDays: null, projects: NONE }],
  [{ jobs_days: 7 }, { jobsDays: 7, batchesDays: 7, deliveriesDays: 7, filesDays: null, projects: NONE }],
  [
    { jobs_days: 'forever', batches_days: 0.5, files_days: '2.5' },
    { jobsDays: null, batchesDays: 0.5, deliveriesDays: null, filesDays: 2.5, projects: NONE },
  ],
])('what is left out follows the jobs: %j', (value, expected) => {
  expect(read(value)).toEqual({ retention: expected, problems: [] });
});

test('a project has its own days over those of all, and what is written for neither follows its jobs', () => {
  const value = {
    batches_days: 10,
    files_days: 5,
    projects: { a: { jobs_days: 1, files_days: 'forever' }, b: {} },
  };
  expect(read(value)).toEqual({
    retention: {
      jobsDays: 30,
      batchesDays: 10,
      deliveriesDays: 30,
      filesDays: 5,
      projects: new Map([
        ['a', { jobsDays: 1, batchesDays: 10, deliveriesDays: 1, filesDays: null }],
        ['b', { jobsDays: 30, batchesDays: 10, deliveriesDays: 30, filesDays: 5 }],
      ]),
    },
    problems: [],
  });
});

test('every mistake is told with its place, all at once', () => {
  const wrong = 'must be a number of days above 0 and at most 36500, such as 30 or 0.5, or forever';
  const value = {
    jobs_days: 0,
    batches_days: -1,
    deliveries_days: 'never',
    files_days: 36_501,
    job_days: 3,
    projects: { a: { jobs_days: Infinity, projects: {} }, b: 3 },
  };
  expect(read(value).problems).toEqual([
    'baton.yaml: retention.job_days: unknown name; did you mean jobs_days?',
    `baton.yaml: retention.jobs_days: ${wrong}`,
    `baton.yaml: retention.batches_days: ${wrong}`,
    `baton.yaml: retention.deliveries_days: ${wrong}`,
    `baton.yaml: retention.files_days: ${wrong}`,
    expect.stringMatching(/^baton\.yaml: retention\.projects\.a\.projects: unknown name/),
    `baton.yaml: retention.projects.a.jobs_days: ${wrong}`,
    'baton.yaml: retention.projects.b: must be a mapping of names to values',
  ]);
});
