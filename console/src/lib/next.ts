// Where to go after sign-in. The address comes from the URL, so it is not trusted.

/** Only ways inside this console are followed after sign-in. */
export function safeNext(next: string | undefined): string {
  const inside = next && /^\/(?![/\\])/u.test(next) && !next.startsWith('/sign-in');
  return inside ? next : '/';
}
