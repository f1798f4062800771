/**
 * Whether a good answer will also do: what a policy's `expect` asks of it. The model ran and is paid, so a failure keeps the
 * answer's tokens and price. Every choice of an answer has to do.
 */
import { Injectable } from '@nestjs/common';
import type { Answer, Failure } from '../routing/call-result.js';
import type { Expectation } from '../routing/expectation.js';
import type { FailureClass } from '../routing/failure.js';
import type { CallRequest, Endpoint } from './adapter.js';
import type { Flaw } from './answer-flaw.js';
import { readParts, type AnswerPart } from './answer-parts.js';
import { SchemaChecker } from './json-schema.js';
import { at, isObject, parseJson, type JsonObject } from './json.js';
import { toBody, toMessage } from './plain-text.js';
import { isFound } from './safe-pattern.js';

@Injectable()
export class AnswerChecker {
  private readonly schemas = new SchemaChecker();

  /**
   * The failure that an answer is by what its step expects; null if it does. `requestBody` is the request as it was sent, whose
   * own schema counts. What is said of text does not hold for a part that calls a tool of the caller's, nor for embeddings.
   */
  check(
    expect: Expectation,
    endpoint: Endpoint,
    requestBody: CallRequest['body'],
    answer: Answer,
  ): Failure | null {
    const schema = expect.jsonSchema ? schemaOf(endpoint, requestBody) : null;
    for (const part of readParts(endpoint, parseJson(answer.body))) {
      const flaw =
        endpoint === '/v1/embeddings'
          ? checkFilled(expect, part)
          : (checkFinish(expect, part) ?? checkFilled(expect, part) ?? this.checkText(expect, schema, part));
      if (flaw !== null) return toFailure(answer, part, flaw);
    }
    return null;
  }

  private checkText(expect: Expectation, schema: JsonObject | null, part: AnswerPart): Flaw | null {
    if (part.callsTool) return null;
    return checkLength(expect, part) ?? this.checkJson(expect, schema, part) ?? checkPattern(expect, part);
  }

  private checkJson(expect: Expectation, schema: JsonObject | null, { text }: AnswerPart): Flaw | null {
    if (!expect.json && schema === null) return null;
    const value = parseJson(text);
    if (value === undefined) return { class: 'schema_mismatch', message: 'is not JSON' };
    const problem = schema === null ? null : this.schemas.findProblem(schema, value);
    if (problem === null) return null;
    return { class: 'schema_mismatch', message: `does not match the request's JSON schema: ${problem}` };
  }
}

/** The schema that a request carries; null if it carries none. */
function schemaOf(endpoint: Endpoint, body: CallRequest['body']): JsonObject | null {
  const format =
    endpoint === '/v1/responses' ? at(body, 'text', 'format') : at(body, 'response_format', 'json_schema');
  const schema = at(format, 'schema');
  return isObject(schema) ? schema : null;
}

const CLASS_BY_FINISH: Readonly<Record<string, FailureClass | undefined>> = {
  length: 'truncated',
  content_filter: 'content_filtered',
};

function checkFinish(expect: Expectation, { finishReason }: AnswerPart): Flaw | null {
  if (expect.finishReason === null || expect.finishReason.includes(finishReason ?? '')) return null;
  const asked = expect.finishReason.join(', ');
  if (finishReason === null)
    return { class: 'malformed', message: `does not say why it stopped; asked for is ${asked}` };
  return {
    class: CLASS_BY_FINISH[finishReason] ?? 'malformed',
    message: `stopped for the reason ${finishReason.slice(0, 64)}; asked for is ${asked}`,
  };
}

function checkFilled(expect: Expectation, { text, callsTool, hasOther }: AnswerPart): Flaw | null {
  if (!expect.notEmpty || callsTool || hasOther || /\S/.test(text)) return null;
  return { class: 'empty', message: 'has nothing in it' };
}

function checkLength({ minLength }: Expectation, { text }: AnswerPart): Flaw | null {
  if (minLength === null || text.length >= 2 * minLength) return null;
  const count = Array.from(text).length;
  if (count >= minLength) return null;
  return { class: 'empty', message: `has ${count} characters; asked for are at least ${minLength}` };
}

function checkPattern({ pattern }: Expectation, { text }: AnswerPart): Flaw | null {
  if (pattern === null) return null;
  const found = isFound(pattern, text);
  if (found === true) return null;
  const why = found === null ? ': it takes too long to look for' : '';
  return { class: 'schema_mismatch', message: `does not have the pattern that is asked for${why}` };
}

function toFailure(answer: Answer, part: AnswerPart, { class: failureClass, message }: Flaw): Failure {
  return {
    ...answer,
    ok: false,
    class: failureClass,
    message: toMessage(`${part.name} ${message}.`, []),
    sent: true,
    retryAfterMs: null,
    body: toBody(answer.body, []),
  };
}
