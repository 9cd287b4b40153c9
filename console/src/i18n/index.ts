// Sets up the languages; each is fetched when it is first spoken. Keys may hold dots (`process.exec`), so the
// separator is `/`. Every language says everything (words.test.ts), so that none falls back on another.
import i18next from 'i18next';
import { initReactI18next } from 'react-i18next';

import { getPrefs } from '../lib/prefs';
import type { Language } from '../lib/prefs';
import type { Words } from './en';

const LOAD: Record<Language, () => Promise<Words>> = {
  en: async () => (await import('./en')).en,
  ja: async () => (await import('./ja')).ja,
};

/** Speaks `language` from now on. */
export async function speak(language: Language): Promise<void> {
  if (!i18next.hasResourceBundle(language, 'translation')) {
    i18next.addResourceBundle(language, 'translation', await LOAD[language]());
  }
  document.documentElement.lang = language;
  await i18next.changeLanguage(language);
}

export async function startLanguages(): Promise<void> {
  const { language } = getPrefs();
  await i18next.use(initReactI18next).init({
    lng: language,
    fallbackLng: false,
    resources: { [language]: { translation: await LOAD[language]() } },
    keySeparator: '/',
    nsSeparator: false,
    interpolation: { escapeValue: false },
  });
  document.documentElement.lang = language;
}
