// One door to the server: JSON in, JSON out, the session's CSRF token on every unsafe request,
// problem+json as a typed error. It keeps no token anywhere but in memory.

export class Problem extends Error {
  readonly status: number;
  readonly code: string;
  readonly span?: [number, number];
  readonly hint?: string;

  constructor(status: number, body: Record<string, unknown>) {
    const text = (key: string) => (typeof body[key] === 'string' ? (body[key] as string) : undefined);
    super(text('detail') ?? text('title') ?? `HTTP ${status}`);
    this.status = status;
    this.code = text('code') ?? `http_${status}`;
    this.hint = text('hint');
    const span = body['span'];
    if (Array.isArray(span) && span.length === 2) this.span = [Number(span[0]), Number(span[1])];
  }
}

export type Query = Record<string, string | number | undefined | null>;
type Listener = () => void;

let csrf = '';
const signedOut = new Set<Listener>();

export function setCsrf(token: string): void {
  csrf = token;
}

/** Calls `listener` when the server no longer knows the session. */
export function onSignedOut(listener: Listener): () => void {
  signedOut.add(listener);
  return () => signedOut.delete(listener);
}

export function withQuery(path: string, query: Query = {}): string {
  const params = new URLSearchParams();
  for (const [key, value] of Object.entries(query)) {
    if (value !== undefined && value !== null && value !== '') params.set(key, String(value));
  }
  const text = params.toString();
  return text === '' ? path : `${path}?${text}`;
}

async function parse(response: Response): Promise<unknown> {
  const text = await response.text();
  if (text === '') return undefined;
  try {
    return JSON.parse(text);
  } catch {
    return { detail: text.slice(0, 200) };
  }
}

export async function call<T>(
  method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE',
  path: string,
  options: { query?: Query; body?: unknown; raw?: Blob; signal?: AbortSignal } = {},
): Promise<T> {
  const headers: Record<string, string> = { Accept: 'application/json' };
  if (method !== 'GET') headers['X-CSRF'] = csrf;
  if (options.body !== undefined) headers['Content-Type'] = 'application/json';
  else if (options.raw) headers['Content-Type'] = 'application/octet-stream';
  let response: Response;
  try {
    const init: RequestInit = { method, headers, signal: options.signal, credentials: 'same-origin' };
    if (options.body !== undefined) init.body = JSON.stringify(options.body);
    else if (options.raw) init.body = options.raw;
    response = await fetch(withQuery(`/api/v1${path}`, options.query), init);
  } catch (cause) {
    if (options.signal?.aborted) throw cause;
    throw new Problem(0, { code: 'unreachable', detail: String(cause) });
  }
  const body = await parse(response);
  if (response.ok) return body as T;
  if (response.status === 401 && path !== '/session') for (const listener of signedOut) listener();
  throw new Problem(response.status, (body ?? {}) as Record<string, unknown>);
}
