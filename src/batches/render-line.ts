import { toPublicId } from '../storage/ids.js';
import type { EndedLine } from '../jobs/batch-jobs.service.js';
import type { Reject } from './check-line.js';

/** A line of an output or error file, as OpenAI writes it, with what Baton adds in `baton`; ends with LF. */
export function renderLine(line: EndedLine): string {
  const id = toPublicId('job', line.jobId);
  const { response, error } = answerOf(line);
  const baton = {
    job_id: id,
    line: line.line,
    status: line.status,
    served_by: line.servedBy,
    attempts: line.attemptCount,
    cost_usd: line.costMicros === null ? null : line.costMicros / 1e6,
    // Whose answer an equal line shares; it was neither asked nor paid for twice.
    shared_with: line.sameAs === null ? null : toPublicId('job', line.sameAs),
  };
  return `{"id":"${lineIdOf(id)}","custom_id":${JSON.stringify(line.customId)},"response":${response},"error":${error},"baton":${JSON.stringify(baton)}}\n`;
}

/** As {@link renderLine}, of a line that was turned away before anything ran. */
export function renderReject(batchId: string, reject: Reject): string {
  // No job has its number, so the batch's own is made the line's.
  const id = `${toPublicId('batch', batchId).replace('batch_', 'batch_req_')}_${reject.line}`;
  const { customId, code, line } = reject;
  const message = `Line ${line}: ${reject.message}`;
  const baton = {
    job_id: null,
    line,
    status: 'failed',
    served_by: null,
    attempts: 0,
    cost_usd: 0,
    shared_with: null,
  };
  return `${JSON.stringify({ id, custom_id: customId, response: null, error: { code, message }, baton })}\n`;
}

/** Whether the line belongs into the output file; else into the error file. */
export function isOutput(line: EndedLine): boolean {
  return line.status === 'completed';
}

/** The line's own id, `batch_req_…`, by its job's. */
function lineIdOf(jobId: string): string {
  return jobId.replace('job_', 'batch_req_');
}

/** The job's uuid in a line's id; the caller looks whether it is one. */
export function jobIdOf(lineId: string): string {
  return lineId.replace('batch_req_', 'job_');
}

/** An answer by HTTP, good or bad, is `response`; everything else is `error`. */
function answerOf(line: EndedLine): { response: string; error: string } {
  if (line.status === 'completed' || (line.status === 'failed' && line.responseStatus !== null)) {
    const { responseStatus, responseRequestId, body } = line;
    const requestId = JSON.stringify(responseRequestId ?? '');
    const response = `{"status_code":${responseStatus},"request_id":${requestId},"body":${onOneLine(body ?? 'null')}}`;
    return { response, error: 'null' };
  }
  return { response: 'null', error: JSON.stringify(errorOf(line)) };
}

function errorOf({ status, errorCode, errorMessage }: EndedLine): { code: string; message: string } {
  if (status === 'expired') return EXPIRED;
  if (status === 'cancelled') {
    return { code: errorCode ?? CANCELLED.code, message: errorMessage ?? CANCELLED.message };
  }
  return { code: errorCode ?? 'failed', message: errorMessage ?? 'The request failed.' };
}

/** OpenAI's own words. */
const EXPIRED = {
  code: 'batch_expired',
  message: 'This request could not be executed before the completion window expired.',
};
const CANCELLED = {
  code: 'batch_cancelled',
  message: 'This request was cancelled before it ended.',
};

/** JSON text without line ends: in valid JSON they stand only between values, where a blank does as well. */
function onOneLine(json: string): string {
  return /[\r\n]/.test(json) ? json.replaceAll(/[\r\n]+/g, ' ') : json;
}
