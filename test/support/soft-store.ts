/** For tests that ask what a store answers, not how soon: longer than any machine stands still for. */
export const PATIENT_MS = 10_000;
