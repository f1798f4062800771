/** What an error of the network means, told by its code: messages change between versions, codes do not. */

export const EGRESS_FAILURES = [
  'dns',
  'connect',
  'tls',
  'refused_address',
  'bad_url',
  'timeout',
  'reset',
  'incomplete',
  'protocol',
  'too_large',
  'aborted',
] as const;

/** How an exchange failed; see {@link classifyError} for which errors are which. */
export type EgressFailureKind = (typeof EGRESS_FAILURES)[number];

/** How far an exchange had come: nothing sent, request being sent, reply begun. */
export type Stage = 'connecting' | 'sent' | 'answering';

const KIND_BY_CODE: Readonly<Record<string, EgressFailureKind>> = {
  REFUSED_ADDRESS: 'refused_address',
  ENOTFOUND: 'dns',
  ENODATA: 'dns',
  EAI_AGAIN: 'dns',
  EAI_FAIL: 'dns',
  EAI_NODATA: 'dns',
  EAI_NONAME: 'dns',
  ESERVFAIL: 'dns',
  EPROTO: 'tls',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'tls',
  SELF_SIGNED_CERT_IN_CHAIN: 'tls',
  HOSTNAME_MISMATCH: 'tls',
  INVALID_CA: 'tls',
  INVALID_PURPOSE: 'tls',
  UND_ERR_HEADERS_OVERFLOW: 'protocol',
  UND_ERR_RES_CONTENT_LENGTH_MISMATCH: 'incomplete',
  // The parser met the end of the connection in the middle of a body.
  HPE_INVALID_EOF_STATE: 'incomplete',
  UND_ERR_INVALID_ARG: 'bad_url',
  UND_ERR_DESTROYED: 'aborted',
  UND_ERR_CLOSED: 'aborted',
};

const KIND_BY_PREFIX: readonly (readonly [string, EgressFailureKind])[] = [
  ['ERR_TLS_', 'tls'],
  ['ERR_SSL_', 'tls'],
  ['CERT_', 'tls'],
  ['UNABLE_TO_', 'tls'],
  ['HPE_', 'protocol'],
];

/** Any other error of a socket (ECONNREFUSED, ECONNRESET, EPIPE, UND_ERR_SOCKET, …) is told by when it came. */
const KIND_BY_STAGE: Readonly<Record<Stage, EgressFailureKind>> = {
  connecting: 'connect',
  sent: 'reset',
  answering: 'incomplete',
};

/** The kind of failure that an error of undici, of a socket, of TLS or of the resolver means. */
export function classifyError(error: Error, stage: Stage): EgressFailureKind {
  const code = codeOf(error);
  return (
    KIND_BY_CODE[code] ??
    KIND_BY_PREFIX.find(([prefix]) => code.startsWith(prefix))?.[1] ??
    KIND_BY_STAGE[stage]
  );
}

/** One line about the error for people, with its code. */
export function describeError(error: Error): string {
  const code = codeOf(error);
  // A failed dial of several addresses is an AggregateError without a text of its own.
  const text =
    error instanceof AggregateError
      ? error.errors.map((one: Error) => one.message).join('; ')
      : error.message;
  return code === '' || text.includes(code) ? text : `${text} (${code})`;
}

function codeOf(error: Error): string {
  if ('code' in error && typeof error.code === 'string') return error.code;
  // undici leaves the code out when the first line of a reply is not HTTP.
  return error.name === 'HTTPParserError' ? 'HPE_INVALID' : '';
}
