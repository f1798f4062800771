/** What every call of the benchmark asks a model: 1,024 bytes of JSON for `model: "instant"`. */
export function requestBody(model: string): { model: string; messages: object[] } {
  const content = 'Say what is on the next page, and why it is there. '.repeat(20).slice(0, 955);
  return { model, messages: [{ role: 'user', content }] };
}
