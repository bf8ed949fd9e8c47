DROP TABLE username_quarantine;
