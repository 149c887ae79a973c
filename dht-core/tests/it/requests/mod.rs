//! Single requests: when they leave, which answers are theirs, what an answer teaches, how they end.

mod guesses;
mod knocks;
mod lessons;
mod matching;
mod pace;
mod tries;
mod unsent;
mod window;
