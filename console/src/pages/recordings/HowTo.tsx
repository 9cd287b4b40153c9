// How a recording comes in: files of an incident are read where they lie, by the command line.
import { useTranslation } from 'react-i18next';

import { toast } from '../../components/toast';

/** The names stand for the reader's own. */
const COMMANDS = [
  ['server', 'metsuke replay --name "March, again" --input ./evidence'],
  ['stop', 'metsuke replay --name "March, again" --input ./evidence --stop-at high'],
  ['offline', 'metsuke replay --offline --shipped --name "March, again" --input ./evidence'],
] as const;

export function HowTo() {
  const { t } = useTranslation();
  const copy = (text: string) => {
    navigator.clipboard.writeText(text).then(() => toast(t('val/copied')), () => toast(t('val/copyFailed')));
  };
  return (
    <div className="stack howto">
      <p className="flat">{t('recordings/how')}</p>
      {COMMANDS.map(([name, command]) => (
        <div key={name}>
          <div className="row"><span>{t(`recordings/command/${name}`)}</span><span className="spacer" /><button type="button" className="iconbtn iconbtn--line" aria-label={t('recordings/copy', { what: t(`recordings/command/${name}`) })} onClick={() => copy(command)}>{t('val/copy')}</button></div>
          <pre className="code">{command}</pre>
        </div>
      ))}
      <p className="muted flat">{t('recordings/formats')}</p>
    </div>
  );
}
