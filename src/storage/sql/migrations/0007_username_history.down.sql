DROP TABLE username_feed;
DROP TABLE username_history;
