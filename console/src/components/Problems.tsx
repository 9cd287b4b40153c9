// What a document's reader has to say about it, with the place; a click leads there.
import { useTranslation } from 'react-i18next';

import type { TextProblem } from '../api/types';
import { SafeText } from './Val';

interface Props {
  problems: TextProblem[];
  onPick?: (problem: TextProblem) => void;
}

export function Problems({ problems, onPick }: Props) {
  const { t } = useTranslation();
  return (
    <ul className="problems">
      {problems.map((one, index) => (
        <li key={index} data-severity={one.severity}>
          <strong>{t(`editor/severity/${one.severity}`)}</strong>{' '}
          {onPick ? (
            <button type="button" className="linklike" onClick={() => onPick(one)}>{t('editor/place', { line: one.line, column: one.column })}</button>
          ) : (
            <span className="muted">{t('editor/place', { line: one.line, column: one.column })}</span>
          )}{' '}
          <SafeText text={one.message} />
          {one.help && <div className="muted"><SafeText text={one.help} /></div>}
        </li>
      ))}
    </ul>
  );
}
