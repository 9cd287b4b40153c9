// Sets up the languages. Keys may hold dots (`process.exec`), so the separator is `/`.
import i18next from 'i18next';
import { initReactI18next } from 'react-i18next';

import { getPrefs } from '../lib/prefs';
import { en } from './en';
import { ja } from './ja';

export async function startLanguages(): Promise<void> {
  await i18next.use(initReactI18next).init({
    lng: getPrefs().language,
    fallbackLng: 'en',
    resources: { en: { translation: en }, ja: { translation: ja } },
    keySeparator: '/',
    nsSeparator: false,
    interpolation: { escapeValue: false },
  });
  document.documentElement.lang = getPrefs().language;
}
