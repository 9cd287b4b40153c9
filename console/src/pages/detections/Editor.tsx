// The text of a document: YAML with line numbers, completion of fields and modifiers, and the server's
// problems at their lines. Fetched only where a document is shown.
import { acceptCompletion, autocompletion, closeBrackets, closeBracketsKeymap, completionKeymap } from '@codemirror/autocomplete';
import type { CompletionContext, CompletionResult } from '@codemirror/autocomplete';
import { defaultKeymap, history, historyKeymap, indentLess, indentMore } from '@codemirror/commands';
import { yaml } from '@codemirror/lang-yaml';
import { bracketMatching, HighlightStyle, indentUnit, syntaxHighlighting } from '@codemirror/language';
import { forceLinting, linter, lintGutter, lintKeymap } from '@codemirror/lint';
import type { Diagnostic } from '@codemirror/lint';
import { EditorState } from '@codemirror/state';
import type { Extension } from '@codemirror/state';
import { drawSelection, EditorView, highlightActiveLine, highlightSpecialChars, keymap, lineNumbers } from '@codemirror/view';
import { tags } from '@lezer/highlight';
import { useEffect, useRef } from 'react';
import { useTranslation } from 'react-i18next';

import type { TextProblem } from '../../api/types';
import { cspNonce } from '../../csp';
import { offer } from '../../lib/sigma';
import type { Named } from '../../lib/sigma';

export interface EditorHandle {
  goTo: (line: number, column: number) => void;
}

interface Props {
  label: string;
  text: string;
  mode: 'read' | 'write';
  fields: Named[];
  onText: (text: string) => void;
  /** Asks the server; rejects when it cannot be asked. */
  check?: (text: string) => Promise<TextProblem[]>;
  onReady?: (handle: EditorHandle | undefined) => void;
}

const CHECK_MS = 400;

// Text that replaces several lines is put in by the editor: the browser would do it with inline styles,
// which the Content-Security-Policy forbids.
const plainly = EditorView.domEventHandlers({
  beforeinput(event, view) {
    const { from, to } = view.state.selection.main;
    const lines = view.state.doc.lineAt(from).number !== view.state.doc.lineAt(to).number;
    if (event.inputType !== 'insertText' || !event.data || event.isComposing || !(lines || event.data.includes('\n'))) return false;
    view.dispatch(view.state.replaceSelection(event.data), { userEvent: 'input.type', scrollIntoView: true });
    event.preventDefault();
    return true;
  },
});

// Colours of the console (tokens.css), so that themes change without this knowing.
const look = EditorView.theme({
  '&': { height: '100%', backgroundColor: 'var(--surface)', color: 'var(--text)', fontSize: '12.5px' },
  '&.cm-focused': { outline: '2px solid var(--accent)', outlineOffset: '-2px' },
  '.cm-scroller': { fontFamily: 'var(--mono)', lineHeight: '1.55' },
  '.cm-content': { caretColor: 'var(--text)' },
  '.cm-cursor': { borderLeftColor: 'var(--text)' },
  '.cm-gutters': { backgroundColor: 'var(--raised)', color: 'var(--muted)', borderRight: '1px solid var(--line)' },
  '.cm-activeLine, .cm-activeLineGutter': { backgroundColor: 'var(--hover)' },
  '.cm-selectionBackground, &.cm-focused > .cm-scroller > .cm-selectionLayer .cm-selectionBackground': { backgroundColor: 'var(--accent-soft)' },
  '.cm-specialChar': { color: 'var(--escape-text)', backgroundColor: 'var(--escape-bg)' },
  '.cm-tooltip': { backgroundColor: 'var(--surface)', color: 'var(--text)', border: '1px solid var(--line-strong)', borderRadius: '4px' },
  '.cm-tooltip.cm-tooltip-autocomplete > ul': { fontFamily: 'var(--mono)', maxWidth: '520px' },
  '.cm-tooltip-autocomplete ul li[aria-selected]': { backgroundColor: 'var(--accent-soft)', color: 'var(--text)' },
  '.cm-completionDetail': { color: 'var(--muted)', fontStyle: 'normal' },
  '.cm-diagnostic': { padding: '4px 8px' },
  '.cm-diagnostic-error': { borderLeft: '4px solid var(--critical)' },
  '.cm-diagnostic-warning': { borderLeft: '4px solid var(--medium)' },
});

const colours = HighlightStyle.define([
  { tag: [tags.propertyName, tags.definition(tags.propertyName)], color: 'var(--accent-text)' },
  { tag: [tags.string, tags.special(tags.string)], color: 'var(--good)' },
  { tag: [tags.comment, tags.lineComment], color: 'var(--muted)' },
  { tag: [tags.keyword, tags.bool, tags.null, tags.number], color: 'var(--code-number)' },
]);

function complete(fields: () => Named[]) {
  return (context: CompletionContext): CompletionResult | null => {
    const line = context.state.doc.lineAt(context.pos);
    const found = offer(context.state.doc.toJSON(), line.number - 1, context.pos - line.from, fields());
    if (!found || (found.written === '' && !context.explicit && !line.text.endsWith('|'))) return null;
    const type = { key: 'property', field: 'variable', modifier: 'function', value: 'enum' };
    return {
      from: line.from + found.from,
      options: found.options.map((one) => ({ label: one.label, detail: one.detail, type: type[one.kind] })),
      validFor: /^[\w.@-]*$/u,
    };
  };
}

/** A problem's place in the document as it stands now, which may be another than the one checked. */
function diagnostic(state: EditorState, problem: TextProblem): Diagnostic {
  const line = state.doc.line(Math.min(Math.max(1, problem.line), state.doc.lines));
  const from = Math.min(line.from + Math.max(0, problem.column - 1), line.to);
  const to = Math.min(from + Math.max(1, problem.length), state.doc.length);
  const message = problem.help ? `${problem.message}\n${problem.help}` : problem.message;
  return { from, to: Math.max(from, to), severity: problem.severity, message };
}

export default function Editor({ label, text, mode, fields, onText, check, onReady }: Props) {
  const { t } = useTranslation();
  const box = useRef<HTMLDivElement>(null);
  const view = useRef<EditorView>(undefined);
  const live = useRef({ onText, check, fields });
  useEffect(() => {
    live.current = { onText, check, fields };
  });
  useEffect(() => {
    if (!box.current) return;
    const writing: Extension[] = [
      history(),
      plainly,
      closeBrackets(),
      autocompletion({ override: [complete(() => live.current.fields)], icons: false }),
      linter(async (at) => (await live.current.check?.(at.state.doc.toString()) ?? []).map((one) => diagnostic(at.state, one)), { delay: CHECK_MS }),
      lintGutter(),
      highlightActiveLine(),
      // Tab leaves the editor, as everywhere; indenting has keys of its own.
      keymap.of([
        { key: 'Tab', run: acceptCompletion },
        { key: 'Mod-]', run: indentMore },
        { key: 'Mod-[', run: indentLess },
        ...closeBracketsKeymap, ...historyKeymap, ...completionKeymap, ...lintKeymap,
      ]),
      EditorView.updateListener.of((update) => {
        if (update.docChanged) live.current.onText(update.state.doc.toString());
      }),
    ];
    const editor = new EditorView({
      parent: box.current,
      state: EditorState.create({
        doc: text,
        extensions: [
          cspNonce ? EditorView.cspNonce.of(cspNonce) : [],
          EditorState.phrases.of({ Diagnostics: t('editor/problems'), Completions: t('search/suggestions'), 'No diagnostics': t('editor/fine'), close: t('frame/close') }),
          lineNumbers(), highlightSpecialChars(), drawSelection(), bracketMatching(), indentUnit.of('  '),
          yaml(), syntaxHighlighting(colours), look, EditorView.lineWrapping,
          EditorView.contentAttributes.of({ 'aria-label': label, spellcheck: 'false' }),
          mode === 'read' ? [EditorState.readOnly.of(true), EditorView.editable.of(false), EditorView.contentAttributes.of({ tabindex: '0', 'aria-readonly': 'true' })] : writing,
          keymap.of(defaultKeymap),
        ],
      }),
    });
    view.current = editor;
    onReady?.({
      goTo: (line, column) => {
        const at = editor.state.doc.line(Math.min(Math.max(1, line), editor.state.doc.lines));
        editor.dispatch({ selection: { anchor: Math.min(at.from + Math.max(0, column - 1), at.to) }, scrollIntoView: true });
        editor.focus();
      },
    });
    if (mode === 'write') forceLinting(editor);
    return () => {
      onReady?.(undefined);
      editor.destroy();
      view.current = undefined;
    };
    // A new editor for another document or mode only; what is written goes out by `onText`.
    // oxlint-disable-next-line react/exhaustive-deps
  }, [mode, label]);
  useEffect(() => {
    const editor = view.current;
    if (!editor || editor.state.doc.toString() === text) return;
    editor.dispatch({ changes: { from: 0, to: editor.state.doc.length, insert: text } });
  }, [text]);
  return <div className="editor" ref={box} />;
}
