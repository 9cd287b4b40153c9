// Mantine's theme: dense, square, one accent. Colours of our own stand in styles/tokens.css.
import { createTheme } from '@mantine/core';
import type { CSSVariablesResolver } from '@mantine/core';

const sans =
  'Inter, "Segoe UI", -apple-system, "Noto Sans", "Liberation Sans", "Noto Sans CJK JP", "Noto Sans JP", "Hiragino Sans", "Yu Gothic UI", Meiryo, system-ui, sans-serif';
const mono =
  'ui-monospace, "Cascadia Mono", Menlo, "DejaVu Sans Mono", "Noto Sans Mono CJK JP", monospace';

export const theme = createTheme({
  primaryColor: 'indigo',
  colors: {
    // Mantine's dark greys are warm; these go with the dark ground of tokens.css.
    dark: ['#dfe3ea', '#b6bdca', '#a3abba', '#6d7685', '#454b57', '#363b45', '#262a32', '#1b1d22', '#16181c', '#101215'],
  },
  primaryShade: { light: 8, dark: 7 },
  defaultRadius: 4,
  fontFamily: sans,
  fontFamilyMonospace: mono,
  fontSizes: { xs: '12px', sm: '13px', md: '13px', lg: '15px', xl: '18px' },
  headings: { fontFamily: sans, fontWeight: '600' },
  components: {
    Button: { defaultProps: { size: 'xs' } },
    TextInput: { defaultProps: { size: 'xs' } },
    PasswordInput: { defaultProps: { size: 'sm' } },
    Textarea: { defaultProps: { size: 'xs' } },
    NativeSelect: { defaultProps: { size: 'xs' } },
    // Within landmarks, and without the empty focus target that axe rightly dislikes in a menu.
    Menu: { defaultProps: { transitionProps: { duration: 0 }, withinPortal: false, withInitialFocusPlaceholder: false } },
  },
});

/** Mantine's dimmed and placeholder greys are too pale for WCAG AA; ours take their place. */
export const resolveVariables: CSSVariablesResolver = () => ({
  variables: {},
  light: {
    '--mantine-color-body': '#ffffff',
    '--mantine-color-text': '#1c2230',
    '--mantine-color-dimmed': '#566074',
    '--mantine-color-placeholder': '#636d80',
    '--mantine-color-default-border': '#c9cfda',
    '--mantine-color-error': '#b2182b',
  },
  dark: {
    '--mantine-color-body': '#1b1d22',
    '--mantine-color-text': '#dfe3ea',
    '--mantine-color-dimmed': '#a3abba',
    '--mantine-color-placeholder': '#949caa',
    '--mantine-color-default': '#23262d',
    '--mantine-color-default-border': '#434955',
    '--mantine-color-error': '#ff8d9a',
  },
});
