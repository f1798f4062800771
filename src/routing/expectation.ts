/** What a policy asks of an answer: one that fails it is a failure, and the chain goes on. */
export interface Expectation {
  /** The answer's text must be JSON. */
  readonly json: boolean;
  /** It must also match the JSON schema that the request itself carries (`response_format`); nothing where it carries none. */
  readonly jsonSchema: boolean;
  /** The reasons for stopping that will do, in OpenAI's words (`stop`, `tool_calls`); null for any. */
  readonly finishReason: readonly string[] | null;
  /** There must be text or a tool call. */
  readonly notEmpty: boolean;
  /** The least number of characters of text; null for any. */
  readonly minLength: number | null;
  /** An RE2 expression that must be found in the text; null for any. */
  readonly pattern: string | null;
}
