// Tabs by the ARIA pattern: arrows move between them, the panel follows.
import { useId } from 'react';
import type { KeyboardEvent, ReactNode } from 'react';

interface Props {
  label: string;
  tabs: { key: string; label: string; count?: number }[];
  active: string;
  onPick: (key: string) => void;
  tools?: ReactNode;
  children: ReactNode;
}

export function Tabs({ label, tabs, active, onPick, tools, children }: Props) {
  const id = useId();
  const keys = (event: KeyboardEvent<HTMLElement>) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    const at = tabs.findIndex((tab) => tab.key === active);
    const next = tabs[(at + step + tabs.length) % tabs.length];
    if (!next) return;
    event.preventDefault();
    onPick(next.key);
    document.getElementById(`${id}-${next.key}`)?.focus();
  };
  return (
    <>
      <div className="tabs">
        <div role="tablist" aria-label={label} className="tabs__list" onKeyDown={keys}>
          {tabs.map((tab) => (
            <button
              type="button"
              role="tab"
              key={tab.key}
              id={`${id}-${tab.key}`}
              aria-selected={tab.key === active}
              aria-controls={`${id}-panel`}
              tabIndex={tab.key === active ? 0 : -1}
              onClick={() => onPick(tab.key)}
            >
              {tab.label}
              {tab.count ? <span className="tabs__count">{tab.count}</span> : null}
            </button>
          ))}
        </div>
        <span className="spacer" />
        {tools}
      </div>
      <div role="tabpanel" id={`${id}-panel`} aria-labelledby={`${id}-${active}`} className="tabs__panel" tabIndex={0}>
        {children}
      </div>
    </>
  );
}
