// What a refusal of the server means, in the reader's language where its code is known; else its own words.
import i18next from 'i18next';

import type { Problem } from '../api/client';
import { visible } from './safeText';

export function told(problem: Problem): string {
  const key = `problem/${problem.code}`;
  return i18next.exists(key) ? i18next.t(key) : visible(problem.message);
}
