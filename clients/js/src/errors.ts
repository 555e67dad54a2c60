/**
 * What can go wrong, as classes: what the server refused, what never got an answer, and what the caller did.
 */

/** Every error of this package. */
export class TakhinError extends Error {
  override name = "TakhinError";
}

/** The server answered with an error; it changed nothing unless `details` say so. */
export class ApiError extends TakhinError {
  override name = "ApiError";
  /** The HTTP status. */
  readonly status: number;
  /** What happened, for programs: `topic_not_found`, `offset_out_of_range` … */
  readonly code: string;
  /** Whether the very same request may work later. */
  readonly retryable: boolean;
  /** What the error is about: the field, its value and bounds, as the code has it. */
  readonly details: Readonly<Record<string, unknown>>;
  /** The id under which the server's log has the request. */
  readonly requestId: string | undefined;
  /** Whether an earlier attempt of the same request got no answer, and so may have been carried out. */
  repeated = false;

  constructor(status: number, body: ErrorBody) {
    super(`${body.error} (${status} ${body.code})`);
    this.status = status;
    this.code = body.code;
    this.retryable = body.retryable;
    this.details = body.details ?? {};
    this.requestId = body.request_id;
  }
}

/** The body that the server gives an error. */
export interface ErrorBody {
  error: string;
  code: string;
  retryable: boolean;
  details?: Record<string, unknown>;
  request_id?: string;
}

/** No whole answer came: refused, reset, cut off or timed out, for as long as it was tried. `cause` is the last failure. */
export class ConnectionError extends TakhinError {
  override name = "ConnectionError";
}

/** A record may or may not be in the log: its request got no answer, and it was given up. `cause` says why. */
export class OutcomeUnknownError extends TakhinError {
  override name = "OutcomeUnknownError";
}

/** The consumer or producer was used after `close()`. */
export class ClosedError extends TakhinError {
  override name = "ClosedError";
}

/** The producer holds as many bytes as it may; wait for `room()` before sending on. Nothing was taken. */
export class BufferFullError extends TakhinError {
  override name = "BufferFullError";
}

/** The consumer was removed while it was silent or its records were worked on. A later poll joins the group anew. */
export class ConsumerLostError extends TakhinError {
  override name = "ConsumerLostError";
}

/** Another consumer with the same `instanceId` has taken this one's place; this one is of no more use. */
export class FencedError extends TakhinError {
  override name = "FencedError";
}
